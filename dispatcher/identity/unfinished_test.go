package identity

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestTheSameCommandFindsItsAct: until it is answered, by the same user at the same server, for half an hour.
func TestTheSameCommandFindsItsAct(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	now := time.Now().Truncate(time.Millisecond)
	said := []string{"tocsin hold", "01J", "--why", "x"}
	fang, hu := Profile{Server: "a:1", Token: newToken("fang")}, Profile{Server: "a:1", Token: newToken("hu")}
	begin := func(p Profile, at time.Time, command ...string) Unfinished {
		t.Helper()
		u, err := BeginAct(p, command, at)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := begin(fang, now, said...)
	if first.Resumed || !first.Began().Equal(now) {
		t.Errorf("the first: %+v", first)
	}
	if again := begin(fang, now.Add(time.Minute), said...); !again.Resumed || again.Key != first.Key || !again.Began().Equal(now) {
		t.Errorf("the same: %+v", again)
	}
	elsewhere := fang
	elsewhere.Server = "b:1"
	for name, other := range map[string]Unfinished{
		"somebody else": begin(hu, now, said...), "another server": begin(elsewhere, now, said...),
		"another command": begin(fang, now, said[:2]...), "the words in other places": begin(fang, now, slices.Concat(said[:1], []string{"01J--why"}, said[3:])...),
	} {
		if other.Resumed || other.Key == first.Key {
			t.Errorf("%s: %+v", name, other)
		}
	}
	if err := first.End(); err != nil {
		t.Fatal(err)
	}
	second := begin(fang, now, said...)
	if second.Resumed || second.Key == first.Key {
		t.Errorf("after the answer: %+v", second)
	}
	if late := begin(fang, time.Now().Add(unfinishedFor+time.Minute), said...); late.Resumed || late.Key == second.Key {
		t.Errorf("after its time: %+v", late)
	}
	if left, err := os.ReadDir(filepath.Join(state, "tocsin", "unfinished")); err != nil || len(left) != 1 {
		t.Errorf("%d files stay (%v): what nobody came back to is taken away", len(left), err)
	}
}

// TestAnActThatCannotBeRememberedHasAKey: a stop is not hindered by a disk that is full or not ours.
func TestAnActThatCannotBeRememberedHasAKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", file)
	u, err := BeginAct(Profile{Server: "a:1", Token: newToken("fang")}, []string{"x"}, time.Now())
	if err == nil || u.Key == "" || u.Resumed {
		t.Errorf("%+v, %v", u, err)
	}
	if err := u.End(); err != nil {
		t.Errorf("its end: %v", err)
	}
}
