package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"
)

// unfinishedFor is how long the same command means the same act: later than that somebody means it anew.
const unfinishedFor = 30 * time.Minute

// Unfinished is an act of a command line from before it is sent until its answer is there. It is kept in a file, so that
// the same command after Ctrl-C, a crash or a lost connection has the same key: what was done is not done again.
type Unfinished struct {
	Key     string // of idempotency; a ULID, so that it says when the act began
	Resumed bool   // an earlier command began it and never saw the answer
	path    string // of its file; empty: it is not kept
}

// BeginAct finds the act that the user of a profile began with the same command, or begins one. Where the file cannot be
// kept the act has a key all the same, and the error says that a repeat will not know it.
func BeginAct(p Profile, command []string, now time.Time) (Unfinished, error) {
	u := Unfinished{Key: ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String()}
	dir, err := unfinishedDir()
	if err != nil {
		return u, err
	}
	user, err := tokenUser(p.Token)
	if err != nil {
		return u, err
	}
	sweep(dir, now)
	said, err := json.Marshal([]any{p.Server, user, command})
	if err != nil {
		return u, err
	}
	sum := hmac.New(sha256.New, []byte(p.Token)) // a command may hold a number: nobody tries them out of the name
	sum.Write(said)
	path := filepath.Join(dir, hex.EncodeToString(sum.Sum(nil)))
	switch err := writePrivate(path, []byte(u.Key), false); {
	case err == nil:
		u.path = path
		return u, nil
	case !errors.Is(err, fs.ErrExist):
		return u, err
	}
	b, err := readPrivate(path)
	if err != nil {
		return u, err
	}
	before := Unfinished{Key: string(b), Resumed: true, path: path}
	if before.Began().IsZero() {
		return u, fmt.Errorf("%s holds no key: remove it", path)
	}
	return before, nil
}

// Began is when the key was made.
func (u Unfinished) Began() time.Time {
	id, err := ulid.ParseStrict(u.Key)
	if err != nil {
		return time.Time{}
	}
	return id.Timestamp()
}

// End forgets the act: its answer is there, or nothing was sent.
func (u Unfinished) End() error {
	if err := os.Remove(u.path); u.path != "" && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unfinishedDir is tocsin/unfinished in the user's directory of state (XDG Base Directory Specification 0.8).
func unfinishedDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "tocsin", "unfinished"), nil
}

// sweep takes away what nobody came back to.
func sweep(dir string, now time.Time) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return // there is none yet, or writing will say what is wrong
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && now.Sub(info.ModTime()) > unfinishedFor {
			_ = os.Remove(filepath.Join(dir, f.Name())) // another command may have been quicker
		}
	}
}
