package house

import (
	"crypto/rand"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	pb "tocsin/proto/tocsin/v1"
)

func TestApproveRefusesAndKeepsNothing(t *testing.T) {
	w, _ := submitted(t, good())
	// Every district: more than half of the jurisdiction.
	large := good()
	large.Clip = true
	large.Areas = []*pb.Area{drawn(box(105, 28, 110.5, 32.5))}
	wide, _ := submitted(t, large)
	other := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		user string
		id   string
		say  *pb.ApproveRequest
		want refusal
	}{
		"the submitter": {forecaster, w.GetId(), &pb.ApproveRequest{Version: 1, Digest: w.GetDigest()},
			refusal{codes.PermissionDenied, "DENIED", "", "", "approver"}},
		"another digest": {approver, w.GetId(), &pb.ApproveRequest{Version: 1, Digest: other},
			invalid("digest", "approve.digest", "look at it again with tocsin get")},
		"the digest of another warning": {approver, w.GetId(), &pb.ApproveRequest{Version: 1, Digest: wide.GetDigest()},
			invalid("digest", "approve.digest", "look at it again with tocsin get")},
		"another version": {approver, w.GetId(), &pb.ApproveRequest{Version: 2, Digest: w.GetDigest()},
			invalid("digest", "approve.digest", "look at it again with tocsin get")},
		"no version": {approver, w.GetId(), &pb.ApproveRequest{Digest: w.GetDigest()},
			invalid("version", "int32.gte", "give a value within the limits")},
		"no digest": {approver, w.GetId(), &pb.ApproveRequest{Version: 1},
			invalid("digest", "string.pattern", "copy it whole, as preview shows it")},
		"no such warning": {approver, "01J00000000000000000000000", &pb.ApproveRequest{Version: 1, Digest: w.GetDigest()},
			refusal{codes.NotFound, "NOT_FOUND", "", "", "tocsin list"}},
		"a large area without its head count": {approver, wide.GetId(), &pb.ApproveRequest{Version: 1, Digest: wide.GetDigest()},
			invalid("people", "approve.people.large", "agree with the head count: --people ")},
		"a large area with a wrong head count": {approver, wide.GetId(), &pb.ApproveRequest{Version: 1, Digest: wide.GetDigest(), People: 1},
			invalid("people", "approve.people.large", "agree with the head count: --people ")},
		"an engineer": {engineer, w.GetId(), &pb.ApproveRequest{Version: 1, Digest: w.GetDigest()},
			refusal{codes.PermissionDenied, "DENIED", "", "", "approver"}},
	} {
		t.Run(name, func(t *testing.T) {
			running.nothingStays(t, func() {
				c.say.Key, c.say.Id = rand.Text(), c.id
				_, err := running.warnings(c.user).Approve(t.Context(), c.say)
				c.want.check(t, err)
			})
		})
	}
}

func TestDecisionsThatCannotBeAreRefused(t *testing.T) {
	w, _ := submitted(t, good())
	if _, err := running.warnings(approver).Reject(t.Context(), &pb.RejectRequest{Key: rand.Text(), Id: w.GetId(), Why: "no rain"}); err != nil {
		t.Fatal(err)
	}
	foreign, _ := submitted(t, good())
	conflict := func(remedy string) refusal { return refusal{codes.FailedPrecondition, "CONFLICT", "", "", remedy} }
	for name, c := range map[string]struct {
		do   func() error
		want refusal
	}{
		"approve what was rejected": {func() error {
			_, err := running.warnings(approver).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: w.GetId(), Version: 1, Digest: w.GetDigest()})
			return err
		}, conflict("only a submitted one can be approved")},
		"cancel what was rejected": {func() error {
			_, err := running.warnings(commander).Cancel(t.Context(), &pb.CancelRequest{Key: rand.Text(), Id: w.GetId()})
			return err
		}, conflict("cannot become cancelled")},
		"release what is not held": {func() error {
			_, err := running.warnings(commander).Release(t.Context(), &pb.ReleaseRequest{Key: rand.Text(), Id: w.GetId()})
			return err
		}, conflict("only a held one can be released")},
		"hold another forecaster's": {func() error {
			_, err := running.warnings("feng").Hold(t.Context(), &pb.HoldRequest{Key: rand.Text(), Id: foreign.GetId()})
			return err
		}, refusal{codes.PermissionDenied, "DENIED", "", "", "an approver or a commander"}},
		"reject without a reason": {func() error {
			_, err := running.warnings(approver).Reject(t.Context(), &pb.RejectRequest{Key: rand.Text(), Id: foreign.GetId()})
			return err
		}, invalid("why", "string.min_len", "give it")},
		"act without a key": {func() error {
			_, err := running.warnings(commander).Cancel(t.Context(), &pb.CancelRequest{Id: foreign.GetId()})
			return err
		}, invalid("key", "string.min_len", "give it")},
		"look up a person without a reason": {func() error {
			_, err := running.warnings(commander).Who(t.Context(), &pb.WhoRequest{Number: "9991000000001"})
			return err
		}, invalid("why", "string.min_len", "give it")},
		"look up a person as a viewer may not": {func() error {
			_, err := running.warnings(forecaster).Who(t.Context(), &pb.WhoRequest{Number: "9991000000001", Why: "asked"})
			return err
		}, refusal{codes.PermissionDenied, "DENIED", "", "", "commander"}},
		"a rate of zero": {func() error {
			_, err := pb.NewChannelServiceClient(running.conns[engineer]).SetRate(t.Context(), &pb.SetRateRequest{Key: rand.Text(), Account: "mobile"})
			return err
		}, invalid("messages_per_s", "int32.gte_lte", "give a value within the limits")},
		"a rate for nobody": {func() error {
			_, err := pb.NewChannelServiceClient(running.conns[engineer]).SetRate(t.Context(), &pb.SetRateRequest{Key: rand.Text(), Account: "none", MessagesPerS: 5})
			return err
		}, refusal{codes.NotFound, "NOT_FOUND", "", "", "tocsin channel list"}},
	} {
		t.Run(name, func(t *testing.T) {
			running.nothingStays(t, func() { c.want.check(t, c.do()) })
		})
	}
}
