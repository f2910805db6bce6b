package house

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"tocsin/dispatcher/wiring"
	pb "tocsin/proto/tocsin/v1"
)

// deskText is the configuration of a house that real people could be told by, has a hotline, and has a second carrier that
// nobody has ever seen answer.
func deskText(address string) string {
	both := func(a string) string { return strings.Replace(a, "channels: [sms]", "channels: [sms, flash_sms]", 1) }
	return configText(both(account("mobile", address, `"9991", "9993"`, "simulated")), both(account("silent", "127.0.0.1:1", `"9992"`, "simulated")),
		both(account("live", "127.0.0.1:1", `"86"`, "live"))) + "jurisdiction: {units: \"500000\"}\nwords: {hotline: \"9990000001\"}\n"
}

// opened is a house of a configuration, with people in it.
func opened(t *testing.T, text string) *home {
	t.Helper()
	h, err := homeOf(t.Context(), t.TempDir(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// kept is the warnings that a walk asks about: by submitter, and whether they lie in the jurisdiction at last.
type kept map[string]map[bool]string

// aboutAWarning is every call whose answer depends on whose warning it is and where, made so that nothing happens when it is
// let through: the warning was rejected.
func aboutAWarning(ctx context.Context, conn *grpc.ClientConn, id string, spec *pb.WarningSpec) map[string]func() error {
	w, key := pb.NewWarningServiceClient(conn), rand.Text()
	return map[string]func() error{
		"warning.Submit": func() error { _, err := w.Submit(ctx, &pb.SubmitRequest{Key: key, Warning: spec}); return err },
		"warning.Approve": func() error {
			_, err := w.Approve(ctx, &pb.ApproveRequest{Key: key, Id: id, Version: 1, Digest: strings.Repeat("0", 64)})
			return err
		},
		"warning.Reject":  func() error { _, err := w.Reject(ctx, &pb.RejectRequest{Key: key, Id: id, Why: "x"}); return err },
		"warning.Hold":    func() error { _, err := w.Hold(ctx, &pb.HoldRequest{Key: key, Id: id}); return err },
		"warning.Release": func() error { _, err := w.Release(ctx, &pb.ReleaseRequest{Key: key, Id: id}); return err },
		"warning.EmergencyRelease": func() error {
			_, err := w.EmergencyRelease(ctx, &pb.EmergencyReleaseRequest{Key: key, Id: id, Why: "x"})
			return err
		},
		"warning.Cancel":   func() error { _, err := w.Cancel(ctx, &pb.CancelRequest{Key: key, Id: id}); return err },
		"warning.AllClear": func() error { _, err := w.AllClear(ctx, &pb.AllClearRequest{Key: key, Id: id}); return err },
		"warning.Broadcast": func() error {
			_, err := w.Broadcast(ctx, &pb.BroadcastRequest{Key: key, Id: id, Channels: []pb.Channel{pb.Channel_CHANNEL_BROADCAST}, Times: 1, EveryS: 1})
			return err
		},
		"warning.Watch": func() error {
			s, err := w.Watch(ctx, &pb.WatchRequest{Id: id})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"authority.CloseReview": func() error {
			_, err := pb.NewAuthorityServiceClient(conn).CloseReview(ctx, &pb.CloseReviewRequest{Key: key, WarningId: id, Finding: "x"})
			return err
		},
	}
}

// bare makes a call of the table with an empty request.
func bare(ctx context.Context, conn *grpc.ClientConn, call string) error {
	service, name, _ := strings.Cut(call, ".")
	method := "/tocsin.v1." + strings.ToUpper(service[:1]) + service[1:] + "Service/" + name
	if call == "reflection" {
		method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	// An error here is told better by what comes back.
	_ = stream.SendMsg(&emptypb.Empty{})
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}

// letIn tells whether a call came past what guards it; what it found then is another matter.
func letIn(err error) bool {
	s := status.Convert(err)
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && bad.GetFieldViolations()[0].GetReason() == "area.jurisdiction" {
			return false
		}
	}
	return !slices.Contains([]codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented}, s.Code())
}

// TestTheServerKeepsTheRoles walks every call, every role, warnings of one's own and of others, inside and outside of the
// jurisdiction, against docs/roles.md. Those that lie outside were taken in before the jurisdiction became smaller.
func TestTheServerKeepsTheRoles(t *testing.T) {
	h := opened(t, deskText("127.0.0.1:1"))
	all := kept{}
	for _, who := range []string{"fang", "feng", "luo"} {
		all[who] = map[bool]string{}
		for inside, code := range map[bool]string{true: "500101", false: "500102"} {
			spec := good()
			spec.Areas = []*pb.Area{unit(code)}
			r, err := h.warnings(who).Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
			if err != nil {
				t.Fatal(err)
			}
			all[who][inside] = r.GetWarning().GetId()
			if _, err := h.warnings(approver).Reject(t.Context(), &pb.RejectRequest{Key: rand.Text(), Id: all[who][inside], Why: "never meant"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// An approver and a commander submit nothing but what follows another.
	for _, who := range []string{approver, commander} {
		spec := good()
		spec.Areas = []*pb.Area{unit("500101")}
		r, err := h.warnings("feng").Submit(t.Context(), &pb.SubmitRequest{Key: rand.Text(), Warning: spec})
		if err == nil {
			_, err = h.warnings(approver).Approve(t.Context(), &pb.ApproveRequest{Key: rand.Text(), Id: r.GetWarning().GetId(), Version: 1, Digest: r.GetWarning().GetDigest()})
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.warnings(who).Cancel(t.Context(), &pb.CancelRequest{Key: rand.Text(), Id: r.GetWarning().GetId()})
		if err != nil {
			t.Fatal(err)
		}
		all[who] = map[bool]string{true: c.GetCorrection().GetId()}
		if _, err := h.warnings(commander).Reject(t.Context(), &pb.RejectRequest{Key: rand.Text(), Id: all[who][true], Why: "never meant"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.dir, wiring.ConfigFile)
	if err := os.WriteFile(path, []byte(strings.Replace(deskText("127.0.0.1:1"), "500000", "500101", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.askAll(t, all)
}

// askAll makes every call of docs/roles.md as every role.
func (h *home) askAll(t *testing.T, all kept) {
	t.Helper()
	text, err := os.ReadFile("../../docs/roles.md")
	if err != nil {
		t.Fatal(err)
	}
	columns := []string{"fang", approver, commander, engineer, "luo", "kan"} // as the table has them
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		if len(cells) != 9 || cells[0] == "call" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		for i, who := range columns {
			for _, own := range []bool{true, false} {
				for _, inside := range []bool{true, false} {
					if cells[1] == "own" && !own || cells[1] == "other" && own || cells[2] == "inside" && !inside || cells[2] == "outside" && inside {
						continue
					}
					id := all["feng"][inside]
					if own {
						if id = all[who][inside]; id == "" {
							continue // this role has none of its own
						}
					}
					h.ask(t, who, cells, cells[3+i], id, own, inside)
				}
			}
		}
	}
	if rows < 30 {
		t.Errorf("docs/roles.md has %d lines", rows)
	}
}

// ask makes one call, with each status where the table tells them apart.
func (h *home) ask(t *testing.T, who string, cells []string, says, id string, own, inside bool) {
	t.Helper()
	for _, st := range []pb.Status{pb.Status_STATUS_EXERCISE, pb.Status_STATUS_ACTUAL} {
		if st == pb.Status_STATUS_ACTUAL && cells[0] != "warning.Submit" {
			continue
		}
		spec := good()
		spec.Status, spec.Areas = st, []*pb.Area{unit(map[bool]string{true: "500101", false: "500102"}[inside])}
		if st == pb.Status_STATUS_ACTUAL {
			spec.Words[0].Text = "暴雨橙色预警 " + rand.Text()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		if call, ok := aboutAWarning(ctx, h.conns[who], id, spec)[cells[0]]; ok {
			err = call()
		} else {
			err = bare(ctx, h.conns[who], cells[0])
		}
		cancel()
		want := says == "yes" || says == "exercise" && st == pb.Status_STATUS_EXERCISE
		if letIn(err) != want || !slices.Contains([]string{"yes", "no", "exercise"}, says) {
			t.Errorf("%s by %s (%s), own %v, inside %v, %s: docs/roles.md says %s, and the server %v", cells[0], who, users[who], own, inside, st, says, err)
		}
	}
}
