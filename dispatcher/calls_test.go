package dispatcher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Numbers of users, behind those of the town.
const (
	anNumber   = 9998_000000001
	boNumber   = 9998_000000002
	fangNumber = 9998_000000003
)

// roster is who can be rung; a house without people in it rings nobody.
type roster struct {
	mu     sync.Mutex
	people []dispatcher.Callee
	made   map[string]dispatcher.Snapshot
}

func (r *roster) Callees(context.Context, time.Time) ([]dispatcher.Callee, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.people), nil
}

// onDuty is a directory of its own.
type onDuty struct {
	*town
	id string
}

func (o onDuty) ID() string { return o.id }

func (r *roster) Snapshot(numbers []uint64) dispatcher.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := onDuty{newTown(len(numbers)), fmt.Sprint("duty ", numbers)}
	if len(numbers) > 0 {
		copy(s.blocks[0].Number, numbers)
	}
	if r.made == nil {
		r.made = map[string]dispatcher.Snapshot{}
	}
	r.made[s.id] = s
	return s
}

func (r *roster) snapshot(id string) dispatcher.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made[id]
}

func (h *house) duty(people ...dispatcher.Callee) {
	h.town.roster.mu.Lock()
	defer h.town.roster.mu.Unlock()
	h.town.roster.people = people
}

// an is on duty, bo is the backup, fang submits.
func (h *house) usual() {
	h.duty(
		dispatcher.Callee{User: approver.User, Number: anNumber, Approves: true, OnDuty: true},
		dispatcher.Callee{User: "bo", Number: boNumber, Approves: true, OnDuty: true, Backup: 1},
		dispatcher.Callee{User: forecaster.User, Number: fangNumber, OnDuty: true},
	)
}

// calls is when a number was rung with words that hold part, counted in whole minutes since a time.
func (h *house) calls(number uint64, part string, since time.Time) (minutes []int) {
	seen := map[time.Time]bool{}
	for _, a := range h.c.log() {
		if a.number == number && a.segment == 0 && strings.Contains(a.text, part) && !seen[a.at] {
			seen[a.at] = true
			minutes = append(minutes, int(a.at.Sub(since)/time.Minute))
		}
	}
	return minutes
}

func (h *house) submit(s warning.Spec) warning.Warning {
	h.t.Helper()
	w, _, err := h.e.Submit(context.Background(), forecaster, "submit "+s.Words[0].Text, dispatcher.Submission{Spec: s})
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

// TestApproversAreRungUntilSomebodyDecides: at once and each minute, backups from the third on, across a kill, nobody
// twice for the same minute, and nobody after the approval.
func TestApproversAreRungUntilSomebodyDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		h.usual()
		w := h.submit(spec(warning.Orange, "waits", ""))
		pass(2*time.Minute + 30*time.Second)
		h.kill()
		h.start()
		defer h.close()
		pass(2 * time.Minute)
		if an, want := h.calls(anNumber, w.ID, w.SubmittedAt), []int{0, 1, 2, 3, 4}; !slices.Equal(an, want) {
			t.Errorf("the approver was rung in the minutes %v, want %v", an, want)
		}
		if bo, want := h.calls(boNumber, w.ID, w.SubmittedAt), []int{3, 4}; !slices.Equal(bo, want) {
			t.Errorf("the backup was rung in the minutes %v, want %v", bo, want)
		}
		if n := h.calls(fangNumber, w.ID, w.SubmittedAt); len(n) > 0 {
			t.Errorf("who submitted was asked to approve in the minutes %v", n)
		}
		h.release(w)
		n := len(h.c.log())
		pass(5 * time.Minute)
		for _, a := range h.c.log()[n:] {
			if a.number == anNumber || a.number == boNumber {
				t.Fatalf("%d was rung %v after the approval", a.number, a.at.Sub(w.SubmittedAt))
			}
		}
		for _, calls := range []bool{false, true} {
			all, err := h.e.List(t.Context(), nil, calls, 0)
			rung := slices.DeleteFunc(slices.Clone(all), func(w warning.Warning) bool { return w.Summons == nil })
			if err != nil || len(all)-len(rung) != 1 || calls != (len(rung) > 0) {
				t.Errorf("with calls: %v, and %d warnings with %d calls are listed, %v", calls, len(all), len(rung), err)
			}
		}
	})
}

// TestCallsEndWithTheDecision: what of a call has not left stays here, whatever the decision is.
func TestCallsEndWithTheDecision(t *testing.T) {
	for name, decide := range map[string]func(h *house, w warning.Warning) error{
		"reject": func(h *house, w warning.Warning) error {
			_, err := h.e.Reject(context.Background(), approver, "no", w.ID, "wrong")
			return err
		},
		"cancel": func(h *house, w warning.Warning) error {
			_, _, err := h.e.Cancel(context.Background(), approver, "no", w.ID, "wrong")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 10, 1500)
				defer h.close()
				h.usual()
				ctx := context.Background()
				engineer := dispatcher.Caller{User: "gong", Role: warning.Engineer}
				if _, err := h.e.Pause(ctx, engineer, "pause", "mobile", "the call waits"); err != nil {
					t.Fatal(err)
				}
				w := h.submit(spec(warning.Orange, "waits", ""))
				pass(10 * time.Second)
				if err := decide(h, w); err != nil {
					t.Fatal(err)
				}
				pass(5 * time.Second)
				if _, err := h.e.Resume(ctx, engineer, "resume", "mobile"); err != nil {
					t.Fatal(err)
				}
				pass(5 * time.Minute)
				if n := len(h.c.log()); n != 0 {
					t.Errorf("%d messages left after the decision", n)
				}
			})
		})
	}
}

// TestWhoIsRung is the order of the roster.
func TestWhoIsRung(t *testing.T) {
	callee := func(user string, backup int, on bool) dispatcher.Callee {
		return dispatcher.Callee{User: user, Approves: true, Backup: backup, OnDuty: on}
	}
	w := &warning.Warning{SubmittedBy: "fang", ApprovedBy: []string{"chen"}}
	for name, c := range map[string]struct {
		all    []dispatcher.Callee
		waited time.Duration
		want   string
	}{
		"the first":                          {[]dispatcher.Callee{callee("an", 0, true), callee("bo", 1, true)}, 0, "an"},
		"the backup later":                   {[]dispatcher.Callee{callee("an", 0, true), callee("bo", 1, true), callee("cai", 2, true)}, 3 * time.Minute, "an bo"},
		"the backup, as nobody else is here": {[]dispatcher.Callee{callee("an", 0, false), callee("bo", 1, true), callee("cai", 2, true)}, 0, "bo"},
		"everybody, as nobody is on duty":    {[]dispatcher.Callee{callee("an", 0, false), callee("bo", 1, false)}, 0, "an bo"},
		"not who submitted or agreed":        {[]dispatcher.Callee{callee("fang", 0, true), callee("chen", 0, true), callee("an", 0, true)}, 0, "an"},
		"nobody who may not approve":         {[]dispatcher.Callee{{User: "li", OnDuty: true}}, 0, ""},
	} {
		var got []string
		for _, x := range dispatcher.Approvers(c.all, w, c.waited, 3*time.Minute) {
			got = append(got, x.User)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q is rung, want %q", name, s, c.want)
		}
	}
}

// TestWhoSubmittedIsToldOfTheEnd: once half an hour before, once when it has ended; a restart repeats neither.
func TestWhoSubmittedIsToldOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		h.usual()
		s := spec(warning.Orange, "ends", "")
		s.Expires = time.Now().Add(40 * time.Minute).UTC()
		w := h.release(h.submit(s))
		pass(15 * time.Minute)
		h.kill()
		h.start()
		defer h.close()
		pass(35 * time.Minute)
		if got, want := h.calls(fangNumber, w.ID, w.SubmittedAt), []int{10, 40}; !slices.Equal(got, want) {
			t.Errorf("told in the minutes %v, want %v", got, want)
		}
	})
}

func TestDutyByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 10, 1500)
		defer h.close()
		h.usual()
		ctx := t.Context()
		if err := h.e.SetDuty(ctx, approver, "k1", "off"); err != nil {
			t.Fatal(err)
		}
		table, err := h.store.Table(ctx, dispatcher.TableDuty)
		if err != nil || string(table[approver.User]) != "off" {
			t.Errorf("%q, %v", table, err)
		}
		if err := h.e.SetDuty(ctx, approver, "k1", "on"); warning.ReasonOf(err) != warning.ReasonExists {
			t.Errorf("the same key with other content: %v", err)
		}
		if err := h.e.SetDuty(ctx, approver, "k2", "hours"); err != nil {
			t.Fatal(err)
		}
		if table, err = h.store.Table(ctx, dispatcher.TableDuty); err != nil || len(table) != 0 {
			t.Errorf("%q, %v", table, err)
		}
		if err := h.e.SetDuty(ctx, approver, "k3", "maybe"); warning.ReasonOf(err) != warning.ReasonInvalid {
			t.Errorf("no such state: %v", err)
		}
		if err := h.e.SetDuty(ctx, commander, "k4", "on"); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("somebody who is not in the roster: %v", err)
		}
	})
}

// TestACommandAgainRingsNobodyTwice: who did not see the answer says the same again with a new key. A warning that is
// recorded is not recorded another time, and what was agreed to is not agreed to twice.
func TestACommandAgainRingsNobodyTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 50, 1500)
		defer h.close()
		ctx, s := t.Context(), spec(warning.Orange, "again", "")
		w := h.submit(s)
		s.Expires = s.Expires.Add(time.Minute) // the end counts from the command
		if _, _, err := h.e.Submit(ctx, forecaster, "another", dispatcher.Submission{Spec: s}); warning.ReasonOf(err) != warning.ReasonExists {
			t.Errorf("submitted again: %v", err)
		}
		h.release(w)
		if _, err := h.e.Approve(ctx, commander, "another", w.ID, w.Version, w.Digest, 0); warning.ReasonOf(err) != warning.ReasonConflict {
			t.Errorf("approved again: %v", err)
		}
		pass(10 * time.Second)
		for who, n := range complete(h.c.log(), "again") {
			if n != 1 {
				t.Errorf("%d got it %d times", who, n)
			}
		}
		if n := len(complete(h.c.log(), "again")); n != 50 {
			t.Errorf("%d of 50 people got it", n)
		}
	})
}

// TestApproversAreRungWhenTheClockIsSetBack: once in each minute that a warning has waited, whatever the clock says.
func TestApproversAreRungWhenTheClockIsSetBack(t *testing.T) {
	for name, step := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			h := houseOf(t, 10, 1500)
			h.usual()
			h.e = h.engine()
			ctx := context.Background()
			now := time.Now()
			h.submit(spec(warning.Red, "flood", ""))
			turn := h.e.Bell()
			rung := func(at time.Time) int {
				t.Helper()
				if err := turn(ctx, at); err != nil {
					t.Fatal(err)
				}
				calls, err := h.e.List(ctx, nil, true, 0)
				if err != nil {
					t.Fatal(err)
				}
				return len(calls) - 1
			}
			if n := rung(now.Add(10 * time.Second)); n != 1 {
				t.Fatalf("rung %d times at once", n)
			}
			for minute := 1; minute < 4; minute++ {
				at := now.Add(10*time.Second + time.Duration(minute)*time.Minute)
				if minute > 1 {
					at = dispatcher.Stepped(at, step)
				}
				if n := rung(at); n != minute+1 {
					t.Errorf("rung %d times after %d minutes", n, minute)
				}
				if n := rung(at.Add(time.Second)); n != minute+1 {
					t.Errorf("rung %d times within minute %d", n, minute)
				}
			}
		})
	}
}
