// Package storetest holds what every store of the engine must do: one suite that the store on Redis and the one in
// memory pass, and a comparison of two stores over random sequences of operations.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Store is all that a store does: records, queue, and the blobs of the directory.
type Store interface {
	dispatcher.Records
	dispatcher.Queue
	PutBlobs(ctx context.Context, n int, piece func(b []byte, i int) (hash [32]byte, data []byte)) error
	Blob(ctx context.Context, hash [32]byte) ([]byte, error)
	Blobs(ctx context.Context, hashes [][32]byte, fn func(i int, data []byte) error) error
	BeginWriting(ctx context.Context, token string, life time.Duration) (dispatcher.DirectoryWriter, error)
	Manifest(ctx context.Context, id string) ([]byte, error)
	Newest(ctx context.Context) (string, error)
	Snapshots(ctx context.Context) ([]string, error)
}

// Run runs the suite. open gives an empty store; stores given in one run must not see each other.
func Run(t *testing.T, open func(t testing.TB) Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"the same key and content gets the stored answer", sameKey},
		{"a key is of one user", keyPerUser},
		{"a key with other content is refused", otherUse},
		{"a key used at once by many acts once", concurrentKey},
		{"a change is refused when the record has changed", revisions},
		{"of many changes at once one wins", concurrentChange},
		{"a refused act leaves nothing", refusedAct},
		{"the same warning is refused while it is live", unique},
		{"warnings are listed newest first and by state", lists},
		{"entries are numbered and keep their bytes", entries},
		{"tables keep, change and remove", tables},
		{"an act waits for the state of another warning", otherState},
		{"acts that owners must know of raise the generation", generation},
		{"released warnings wait for their plan", toPlan},
		{"a plan is stored once and comes back as it was", plans},
		{"the batches of a plan are stored ahead", plansAhead},
		{"a plan grows part by part", planParts},
		{"a strand grows at its end", strandsGrow},
		{"an archived plan leaves its accounts", archived},
		{"a deleted warning leaves the record of acts alone", deleted},
		{"only what is over and archived is deleted", notDeleted},
		{"the short list of warnings", standing},
		{"a plan for a changed warning is refused", stalePlan},
		{"one owner at a time, epochs rise", ownership},
		{"writes of a former owner are refused", fenced},
		{"a repeated sequence gets the stored answer", sequence},
		{"a grant is refused by state, validity and pause", refusals},
		{"a grant that does not fit changes nothing", misfits},
		{"a grant can be given back", givenBack},
		{"a strand is closed once", closing},
		{"journal entries are numbered and folded", journal},
		{"an owner that takes over reads all that was kept", takeover},
		{"states of strands follow their warnings", states},
		{"blobs are kept by their hash", blobs},
		{"snapshots follow one another", snapshots},
		{"one writes the directory at a time", writers},
		{"what is retired is planned no more and can be dropped", retired},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// start is the moment at which the suite begins; no clock is read.
var start = time.Date(2026, 6, 13, 8, 0, 0, 0, time.UTC)

// id is the n-th warning's.
func id(n int) string { return fmt.Sprintf("01J00000000000000000%06d", n) }

// draft is warning n in a state, valid for an hour.
func draft(n int, s warning.State) *warning.Warning {
	w := &warning.Warning{
		Record: warning.RecordVersion, ID: id(n), Version: 1, State: s, Node: "n1", SubmittedBy: "lin", SubmittedAt: start,
		Spec: warning.Spec{
			Event: "11B03", EventName: "暴雨", Tier: warning.Orange, Status: warning.Exercise, Type: warning.Alert,
			Expires: start.Add(time.Hour), Areas: []warning.Area{{Unit: "500103"}}, Channels: []warning.Channel{warning.SMS},
			Words: []warning.Words{{Language: "zh-CN", Kind: warning.Alert, Text: fmt.Sprintf("words of warning %d", n)}},
		},
	}
	w.Digest, w.Content = warning.DigestOf(w.Spec), warning.ContentOf(w.Spec)
	return w
}

func entry(act string) dispatcher.Entry {
	return dispatcher.Entry{At: start, User: "lin", Role: "forecaster", Act: act, Subject: "s"}
}

// plan is a plan of warning n with a strand of people by each account.
func plan(n int, people uint32, accounts ...string) dispatcher.Plan {
	p := dispatcher.Plan{Warning: id(n), Version: 1, Snapshot: "snap", InArea: int64(people) * int64(len(accounts)), LeftOut: dispatcher.LeftOut{NoAddress: 3, OptedOut: 2, NoRoute: 1, Untold: 4}, Parts: 1}
	for i, a := range accounts {
		s := dispatcher.Strand{Warning: id(n), Version: 1, Channel: warning.SMS, Account: a, Snapshot: "snap", People: people}
		for left, block := int(people), uint32(i); left > 0; block += 7 {
			b := dispatcher.Batch{Block: block, Duty: warning.Duty(block % 2), Language: uint8(block % 3)}
			for slot := 0; slot < warning.BlockSize && left > 0; slot += 1 + int(block)%3 {
				b.Mask.Set(slot)
				left--
			}
			s.Batches = append(s.Batches, b)
		}
		p.Strands = append(p.Strands, s)
	}
	return p
}

// planned records warning n as released and plans it.
func planned(t *testing.T, s Store, n int, people uint32, accounts ...string) []dispatcher.StrandID {
	t.Helper()
	do(t, s, dispatcher.Act{Warning: draft(n, warning.Released), ToPlan: true})
	ids, err := s.PutPlan(t.Context(), 1, plan(n, people, accounts...))
	no(t, err)
	return ids
}

// move writes warning n, at revision rev, in another state.
func move(t *testing.T, s Store, n int, rev uint64, to warning.State) dispatcher.Done {
	t.Helper()
	return do(t, s, dispatcher.Act{Warning: draft(n, to), Rev: rev})
}

func do(t *testing.T, s Store, a dispatcher.Act) dispatcher.Done {
	t.Helper()
	d, err := s.Do(t.Context(), a)
	no(t, err)
	return d
}

func own(t *testing.T, s Store, account, owner string) dispatcher.Fence {
	t.Helper()
	beat, _, _, err := s.Heartbeat(t.Context(), account)
	no(t, err)
	f, err := s.Acquire(t.Context(), account, owner, 0, beat, false)
	no(t, err)
	return f
}

func commit(t *testing.T, s Store, f dispatcher.Fence, seq uint64, c dispatcher.Commit) dispatcher.Committed {
	t.Helper()
	if c.Now.IsZero() {
		c.Now = start
	}
	r, err := s.Commit(t.Context(), f, seq, c)
	no(t, err)
	return r
}

func no(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must checks that err is of a kind; nil asks for an error of no kind.
func must(t *testing.T, err, kind error) {
	t.Helper()
	if err == nil || kindOf(err) != kindOf(kind) {
		t.Fatalf("error is %v, wanted kind %v", err, kind)
	}
}

// kindOf names which of the errors that callers decide on err is; "" is none of them.
func kindOf(err error) string {
	for _, kind := range []error{
		dispatcher.ErrFenced, dispatcher.ErrChanged, dispatcher.ErrOtherUse, dispatcher.ErrSame, dispatcher.ErrNotFound, dispatcher.ErrGone,
	} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return ""
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}
