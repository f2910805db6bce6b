package wiring

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
	"tocsin/dispatcher/policy"
	"tocsin/warning"
)

// ruled opens the rule of a process that starts with the shipped policy, changed.
func ruled(t *testing.T, store dispatcher.Records, log *zap.Logger, change func(*policy.Policy)) *rule {
	t.Helper()
	p := policyOf(shipped(t))
	p.Approvals = maps.Clone(p.Approvals)
	change(p)
	r, err := openRule(t.Context(), store, p, log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func approvals(n int) func(*policy.Policy) {
	return func(p *policy.Policy) { p.Approvals[warning.Orange] = n }
}

// needs is how many approvals an orange needs in a process.
func needs(r *rule) int {
	n, _ := r.inForce().ApprovalsFor(&warning.Spec{Tier: warning.Orange, Status: warning.Actual, Type: warning.Alert}, 0)
	return n
}

// TestALooserPolicyWaitsForTwoPersons starts processes with other files over one store. What is tightened holds at once;
// what is loosened holds when two persons have agreed, not by another start, and in every process.
func TestALooserPolicyWaitsForTwoPersons(t *testing.T) {
	store, quiet := memstore.New(), zap.NewNop()
	an := dispatcher.Caller{User: "an", Role: warning.Approver}
	hu := dispatcher.Caller{User: "hu", Role: warning.Commander}
	first := ruled(t, store, quiet, approvals(1))
	if n := needs(first); n != 1 {
		t.Fatalf("the first policy asks for %d", n)
	}
	if n := needs(ruled(t, store, quiet, approvals(2))); n != 2 {
		t.Errorf("a tighter policy asks for %d", n)
	}
	core, logs := observer.New(zap.ErrorLevel)
	var loose *rule
	for range 2 { // another start changes nothing
		loose = ruled(t, store, zap.New(core), approvals(0))
		if n := needs(loose); n != 2 {
			t.Fatalf("a looser policy asks for %d before anybody agreed", n)
		}
	}
	if said := logs.All(); len(said) != 2 || !strings.Contains(said[0].Message, "does NOT hold") {
		t.Errorf("the log says %v", said)
	}
	state, err := loose.Policy(t.Context())
	if err != nil || state.Proposed == nil || len(state.Proposed.Loosens) == 0 || state.InForce.Digest == state.Proposed.Digest {
		t.Fatalf("%+v, %v", state, err)
	}
	digest := state.Proposed.Digest
	if _, err := loose.AgreePolicy(t.Context(), an, state.InForce.Digest); warning.ReasonOf(err) != warning.ReasonInvalid {
		t.Errorf("another digest: %v", err)
	}
	for range 2 { // one person is one person
		if state, err = loose.AgreePolicy(t.Context(), an, digest); err != nil || state.Proposed == nil || !slices.Equal(state.Proposed.Agreed, []string{"an"}) {
			t.Fatalf("after one person: %+v, %v", state, err)
		}
	}
	if n := needs(ruled(t, store, quiet, approvals(0))); n != 2 {
		t.Errorf("with one person and another start it asks for %d", n)
	}
	for range 2 { // a repeat gets the same answer
		if state, err = loose.AgreePolicy(t.Context(), hu, digest); err != nil || state.Proposed != nil || state.InForce.Digest != digest {
			t.Fatalf("after two persons: %+v, %v", state, err)
		}
	}
	if n := needs(loose); n != 0 {
		t.Errorf("agreed, and it asks for %d", n)
	}
	now, _, err := first.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.take(&now); needs(first) != 0 || !slices.Equal(now.Agreed, []string{"an", "hu"}) {
		t.Errorf("another process asks for %d, agreed %v", needs(first), now.Agreed)
	}
	if _, err := loose.AgreePolicy(t.Context(), dispatcher.Caller{User: "wu", Role: warning.Approver}, digest); warning.ReasonOf(err) != warning.ReasonConflict {
		t.Errorf("nothing waits: %v", err)
	}

	// Whoever goes back to the policy in force takes the proposal back.
	ruled(t, store, quiet, func(p *policy.Policy) { approvals(0)(p); p.Margin = 0.5 })
	ruled(t, store, quiet, approvals(0))
	if state, err := loose.Policy(t.Context()); err != nil || state.Proposed != nil {
		t.Errorf("taken back: %+v, %v", state, err)
	}

	var acts []string
	entries, err := store.Entries(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range entries {
		var e dispatcher.Entry
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		acts = append(acts, e.Act+" "+e.Outcome)
		if e.Act == "policy.propose" && len(acts) == 3 && !strings.Contains(e.Detail, "approvals.orange 0, was 2") {
			t.Errorf("the record says %q", e.Detail)
		}
	}
	want := []string{
		"policy.adopt in force", "policy.change in force", "policy.propose waits for two persons", "policy.agree waits for another person",
		"policy.agree in force", "policy.propose waits for two persons", "policy.withdraw in force",
	}
	if !slices.Equal(acts, want) {
		t.Errorf("the record of acts:\n%s", strings.Join(acts, "\n"))
	}
}

// TestTwoAgreeAtOnce lets many persons agree at the same moment: each counts, and the record has them all.
func TestTwoAgreeAtOnce(t *testing.T) {
	store := memstore.New()
	ruled(t, store, zap.NewNop(), approvals(1))
	r := ruled(t, store, zap.NewNop(), approvals(0))
	state, err := r.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, name := range []string{"an", "hu"} {
		all.Go(func() {
			if _, err := r.AgreePolicy(t.Context(), dispatcher.Caller{User: name, Role: warning.Commander}, state.Proposed.Digest); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if state, err := r.Policy(t.Context()); err != nil || state.Proposed != nil || len(state.InForce.Agreed) != 2 {
		t.Errorf("%+v, %v", state, err)
	}
}

// TestAPolicyIsKeptWhole stores the shipped policy with everything in it and reads it again.
func TestAPolicyIsKeptWhole(t *testing.T) {
	store := memstore.New()
	full := func(p *policy.Policy) {
		p.Drills = []string{"li.wei"}
		p.Ahead = []warning.PreAuthorisation{{Paper: "3", Who: []string{"a"}, Events: []string{"11A51"}, Tiers: []warning.Tier{warning.Red}, Units: []string{"500101"}, Until: 1}}
	}
	r := ruled(t, store, zap.NewNop(), full)
	was, _, err := r.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := policyOf(shipped(t))
	full(p)
	if was.InForce.Digest() != p.Digest() || len(p.Changes(&was.InForce)) > 0 {
		t.Errorf("read again it differs: %v", p.Changes(&was.InForce))
	}
}
