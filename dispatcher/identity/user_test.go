package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tocsin/dispatcher"
	"tocsin/dispatcher/memstore"
	"tocsin/warning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var operator = dispatcher.Caller{User: "operator", Role: warning.Engineer}

func add(t *testing.T, u *Users, name string, role warning.Role) string {
	t.Helper()
	token, err := u.Add(t.Context(), operator, name, role, 0)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantReason(t *testing.T, err error, want warning.Reason) {
	t.Helper()
	if warning.ReasonOf(err) != want {
		t.Fatalf("reason %d, want %d: %v", warning.ReasonOf(err), want, err)
	}
}

func TestTokenHoldsUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := NewUsers(memstore.New())
		token := add(t, u, "li.wei", warning.Approver)
		for range 89 {
			c, err := u.Check(t.Context(), token)
			if err != nil || c != (dispatcher.Caller{User: "li.wei", Role: warning.Approver}) {
				t.Fatalf("%v, %v", c, err)
			}
			time.Sleep(24 * time.Hour)
		}
		time.Sleep(24*time.Hour - time.Nanosecond)
		if _, err := u.Check(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Nanosecond)
		_, err := u.Check(t.Context(), token)
		wantReason(t, err, warning.ReasonUnknownUser)
		if !strings.Contains(err.Error(), "expired") || !strings.Contains(err.Error(), "tocsin user rotate li.wei") {
			t.Fatalf("the error does not say what to do: %v", err)
		}
	})
}

func TestRevokedElsewhereEndsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		here, elsewhere := NewUsers(store), NewUsers(store)
		token := add(t, elsewhere, "li.wei", warning.Approver)
		if _, err := here.Check(t.Context(), token); err != nil {
			t.Fatal("a new user must not wait:", err)
		}
		if err := elsewhere.Revoke(t.Context(), operator, "li.wei"); err != nil {
			t.Fatal(err)
		}
		_, err := elsewhere.Check(t.Context(), token)
		wantReason(t, err, warning.ReasonUnknownUser)
		time.Sleep(time.Second)
		_, err = here.Check(t.Context(), token)
		wantReason(t, err, warning.ReasonUnknownUser)
		if err := elsewhere.Revoke(t.Context(), operator, "li.wei"); err != nil {
			t.Fatal("to revoke again:", err)
		}
		_, err = here.Rotate(t.Context(), operator, "li.wei", 0)
		wantReason(t, err, warning.ReasonConflict)
		_, err = here.Add(t.Context(), operator, "li.wei", warning.Viewer, 0)
		wantReason(t, err, warning.ReasonExists)
	})
}

func TestNewUserElsewhereNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		here, elsewhere := NewUsers(store), NewUsers(store)
		old := add(t, elsewhere, "first", warning.Viewer)
		if _, err := here.Check(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		token := add(t, elsewhere, "second", warning.Viewer)
		time.Sleep(100 * time.Millisecond)
		if _, err := here.Check(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRotateReplacesTheToken(t *testing.T) {
	u := NewUsers(memstore.New())
	old := add(t, u, "li.wei", warning.Approver)
	token, err := u.Rotate(t.Context(), operator, "li.wei", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Check(t.Context(), old)
	wantReason(t, err, warning.ReasonUnknownUser)
	if c, err := u.Check(t.Context(), token); err != nil || c.Role != warning.Approver {
		t.Fatalf("%v, %v", c, err)
	}
	all, err := u.List(t.Context())
	if err != nil || len(all) != 1 || all[0].RotatedBy != "operator" || all[0].CreatedBy != "operator" {
		t.Fatalf("%v, %v", all, err)
	}
	_, err = u.Rotate(t.Context(), operator, "nobody", 0)
	wantReason(t, err, warning.ReasonNotFound)
	wantReason(t, u.Revoke(t.Context(), operator, "nobody"), warning.ReasonNotFound)
}

func TestTokenOfOneUserIsNobodyElses(t *testing.T) {
	a, b := NewUsers(memstore.New()), NewUsers(memstore.New())
	add(t, a, "li.wei", warning.Approver)
	_, err := a.Check(t.Context(), add(t, b, "li.wei", warning.Commander))
	wantReason(t, err, warning.ReasonUnknownUser)
	_, err = a.Check(t.Context(), add(t, b, "nobody", warning.Commander))
	wantReason(t, err, warning.ReasonUnknownUser)
}

func TestWhatCannotBeAUserIsRefusedAndLeavesNothing(t *testing.T) {
	store := memstore.New()
	u := NewUsers(store)
	for _, c := range []struct {
		name string
		role warning.Role
		life time.Duration
	}{
		{"", warning.Viewer, 0}, {"a_b", warning.Viewer, 0}, {"A", warning.Viewer, 0}, {"-a", warning.Viewer, 0}, {"a:b", warning.Viewer, 0},
		{strings.Repeat("a", 33), warning.Viewer, 0}, {"李伟", warning.Viewer, 0}, {"a\n", warning.Viewer, 0},
		{"a", 0, 0}, {"a", warning.Viewer + 1, 0}, {"a", warning.Viewer, -1}, {"a", warning.Viewer, MaxLife + 1},
	} {
		_, err := u.Add(t.Context(), operator, c.name, c.role, c.life)
		wantReason(t, err, warning.ReasonInvalid)
	}
	if entries, _ := store.Entries(t.Context(), 1, 10); len(entries) != 0 {
		t.Fatalf("%s", entries)
	}
}

// A revocation that comes between the reading and the writing of a rotation wins.
func TestRotateNeverUndoesRevoke(t *testing.T) {
	store := memstore.New()
	u := NewUsers(store)
	add(t, u, "li.wei", warning.Approver)
	late := NewUsers(between{store, func() {
		if err := u.Revoke(t.Context(), operator, "li.wei"); err != nil {
			t.Error(err)
		}
	}})
	_, err := late.Rotate(t.Context(), operator, "li.wei", 0)
	wantReason(t, err, warning.ReasonConflict)
	all, err := u.List(t.Context())
	if err != nil || len(all) != 1 || all[0].Revoked.IsZero() {
		t.Fatalf("%v, %v", all, err)
	}
	again := NewUsers(between{store, func() { add(t, u, "second", warning.Viewer) }})
	_, err = again.Add(t.Context(), operator, "second", warning.Commander, 0)
	wantReason(t, err, warning.ReasonExists)
}

// between does something before each act is carried out.
type between struct {
	Records
	first func()
}

func (b between) Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error) {
	b.first()
	return b.Records.Do(ctx, a)
}

func TestActsOnUsersAreInTheRecordWithoutToken(t *testing.T) {
	store := memstore.New()
	u := NewUsers(store)
	first := add(t, u, "li.wei", warning.Approver)
	second, err := u.Rotate(t.Context(), operator, "li.wei", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Revoke(t.Context(), operator, "li.wei"); err != nil {
		t.Fatal(err)
	}
	entries, err := store.Entries(t.Context(), 1, 10)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%s, %v", entries, err)
	}
	rows, err := store.Table(t.Context(), dispatcher.TableUsers)
	if err != nil {
		t.Fatal(err)
	}
	for i, act := range []string{"user.add", "user.rotate", "user.revoke"} {
		if e := string(entries[i]); !strings.Contains(e, act) || !strings.Contains(e, `"operator"`) {
			t.Errorf("entry %d: %s", i+1, e)
		}
	}
	for _, token := range []string{first, second} {
		secret := token[len(token)-48:]
		for _, kept := range append(entries, rows["li.wei"]) {
			if strings.Contains(string(kept), secret) {
				t.Errorf("a token is kept: %s", kept)
			}
		}
	}
}

func TestBrokenRecordTouchesNobodyElse(t *testing.T) {
	store := memstore.New()
	u := NewUsers(store)
	token := add(t, u, "li.wei", warning.Approver)
	for name, value := range map[string]string{"text": "x", "version": `{"v":2}`, "role": `{"v":1,"role":"king"}`, "hash": `{"v":1,"role":"viewer","hash":"00"}`} {
		_, err := store.Do(t.Context(), dispatcher.Act{Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: name, Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewUsers(store).Check(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	all, err := u.List(t.Context())
	if err == nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, name := range []string{"text", "version", "role", "hash"} {
		if _, err := u.Add(t.Context(), operator, name, warning.Viewer, 0); err == nil {
			t.Errorf("the name %q was given again", name)
		}
		if _, err := u.Check(t.Context(), newToken(name)); err == nil {
			t.Errorf("%q was let in", name)
		}
	}
}

func TestSilentStoreLetsNobodyIn(t *testing.T) {
	store := memstore.New()
	token := add(t, NewUsers(store), "li.wei", warning.Approver)
	_, err := NewUsers(silent{store}).Check(t.Context(), token)
	wantReason(t, err, warning.ReasonUnavailable)
}

type silent struct{ Records }

func (silent) Table(context.Context, string) (map[string][]byte, error) {
	return nil, errors.New("the store is silent")
}

func BenchmarkCheck(b *testing.B) {
	u := NewUsers(memstore.New())
	token, err := u.Add(b.Context(), operator, "li.wei", warning.Viewer, 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := u.Check(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
