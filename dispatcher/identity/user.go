package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// How long a token lives.
const (
	DefaultLife = 90 * 24 * time.Hour
	MaxLife     = 366 * 24 * time.Hour
)

// Records is what users need of the store; dispatcher.Records is one.
type Records interface {
	Do(ctx context.Context, a dispatcher.Act) (dispatcher.Done, error)
	Table(ctx context.Context, table string) (map[string][]byte, error)
}

// User is one person, or one machine, that may call.
type User struct {
	Name      string
	Role      warning.Role
	Created   time.Time
	CreatedBy string
	Rotated   time.Time // when the present token was made, if it is not the first
	RotatedBy string
	Expires   time.Time // of the token
	Revoked   time.Time // zero while the user may call
	RevokedBy string

	hash    [sha256.Size]byte
	changes uint64 // how often the record was written
	broken  error  // why the record cannot be read; then only the name is known
}

// Valid tells whether the user's token holds at now.
func (u User) Valid(now time.Time) bool { return u.Revoked.IsZero() && now.Before(u.Expires) }

// stored is a User as it lies in dispatcher.TableUsers. The version comes first; N reads N-1.
type stored struct {
	Version   int       `json:"v"`
	Role      string    `json:"role"`
	Hash      string    `json:"hash"` // SHA-256 of the token, hex
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
	Rotated   time.Time `json:"rotated,omitzero"`
	RotatedBy string    `json:"rotated_by,omitempty"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
	Changes   uint64    `json:"changes"`
}

const storedVersion = 1

func (u User) encode() []byte {
	b, err := json.Marshal(stored{
		Version: storedVersion, Role: u.Role.String(), Hash: hex.EncodeToString(u.hash[:]),
		Created: u.Created, CreatedBy: u.CreatedBy, Rotated: u.Rotated, RotatedBy: u.RotatedBy,
		Expires: u.Expires, Revoked: u.Revoked, RevokedBy: u.RevokedBy, Changes: u.changes,
	})
	if err != nil {
		panic("a user does not encode: " + err.Error()) // only a year beyond 9999 can do it, and MaxLife forbids that
	}
	return b
}

func decodeUser(name string, value []byte) (User, error) {
	var s stored
	if err := json.Unmarshal(value, &s); err != nil {
		return User{}, fmt.Errorf("user %q: the record is broken: %w", name, err)
	}
	if s.Version != storedVersion {
		return User{}, fmt.Errorf("user %q: the record has version %d, this program reads %d: use the newer program", name, s.Version, storedVersion)
	}
	role, err := warning.ParseRole(s.Role)
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", name, err)
	}
	u := User{
		Name: name, Role: role, Created: s.Created, CreatedBy: s.CreatedBy, Rotated: s.Rotated, RotatedBy: s.RotatedBy,
		Expires: s.Expires, Revoked: s.Revoked, RevokedBy: s.RevokedBy, changes: s.Changes,
	}
	if n, err := hex.Decode(u.hash[:], []byte(s.Hash)[:min(len(s.Hash), 2*sha256.Size)]); err != nil || n != sha256.Size || len(s.Hash) != 2*sha256.Size {
		return User{}, fmt.Errorf("user %q: the record's hash is not 64 hexadecimal digits", name)
	}
	return u, nil
}

// Users is everybody who may call, kept in the store.
type Users struct {
	records Records
	table   chan table // holds the one table when nobody uses it: a lock that a context can end
}

// NewUsers is the users that records keeps.
func NewUsers(records Records) *Users {
	u := &Users{records: records, table: make(chan table, 1)}
	u.table <- table{}
	return u
}

// Add makes a user and gives the token, which is shown this once and kept nowhere. A life of 0 takes DefaultLife.
// ReasonInvalid for a name, role or life that cannot be; ReasonExists when the name was ever given, also to somebody
// who is revoked now: the record of acts must not name two people alike.
func (u *Users) Add(ctx context.Context, by dispatcher.Caller, name string, role warning.Role, life time.Duration) (string, error) {
	expires, err := expiry(life)
	if err != nil {
		return "", err
	}
	if !validName(name) {
		return "", warning.Invalid(warning.Violation{
			Field: "name", Rule: "user.name", Detail: fmt.Sprintf("%q cannot be a user's name", name),
			Remedy: "use 1 to 32 of a-z, 0-9, dot and hyphen, beginning with a letter or digit",
		})
	}
	if _, err := warning.ParseRole(role.String()); err != nil {
		return "", err
	}
	if _, err := u.find(ctx, name); err == nil {
		return "", taken(name)
	} else if warning.ReasonOf(err) != warning.ReasonNotFound {
		return "", err
	}
	token := newToken(name)
	user := User{Name: name, Role: role, Created: now(), CreatedBy: by.User, Expires: expires, hash: hashToken(token)}
	err = u.write(ctx, by, user, "user.add", validUntil(user))
	if errors.Is(err, dispatcher.ErrOtherUse) {
		err = taken(name)
	}
	if err != nil {
		return "", err
	}
	return token, nil
}

func taken(name string) error {
	return warning.Refuse(warning.ReasonExists, "user %q exists, or existed: a name is given once; take another, or `tocsin user rotate %s` for a new token", name, name)
}

// List is all users by name, also those who are revoked. Records that cannot be read are left out and named in the
// error, beside the others.
func (u *Users) List(ctx context.Context) ([]User, error) {
	byName, err := u.read(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]User, 0, len(byName))
	var broken []error
	for _, user := range byName {
		if user.broken != nil {
			broken = append(broken, user.broken)
			continue
		}
		all = append(all, user)
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(broken...)
}

// Revoke ends a user for good: within a second no process takes the token any more, and open streams end. Revoking
// somebody who is revoked changes nothing. ReasonNotFound when there is no such user.
func (u *Users) Revoke(ctx context.Context, by dispatcher.Caller, name string) error {
	user, err := u.find(ctx, name)
	if err != nil || !user.Revoked.IsZero() {
		return err
	}
	user.Revoked, user.RevokedBy = now(), by.User
	return u.change(ctx, by, user, "user.revoke", "revoked")
}

// Rotate gives a user a new token with a new life; the old one ends within a second. ReasonConflict when the user is
// revoked, ReasonNotFound when there is none.
func (u *Users) Rotate(ctx context.Context, by dispatcher.Caller, name string, life time.Duration) (string, error) {
	expires, err := expiry(life)
	if err != nil {
		return "", err
	}
	user, err := u.find(ctx, name)
	if err != nil {
		return "", err
	}
	if !user.Revoked.IsZero() {
		return "", warning.Refuse(warning.ReasonConflict, "user %q was revoked by %s and stays so; make another user with `tocsin user add`", name, user.RevokedBy)
	}
	token := newToken(name)
	user.Rotated, user.RotatedBy, user.Expires, user.hash = now(), by.User, expires, hashToken(token)
	if err := u.change(ctx, by, user, "user.rotate", validUntil(user)); err != nil {
		return "", err
	}
	return token, nil
}

func (u *Users) change(ctx context.Context, by dispatcher.Caller, user User, act, outcome string) error {
	err := u.write(ctx, by, user, act, outcome)
	if errors.Is(err, dispatcher.ErrOtherUse) {
		return warning.Refuse(warning.ReasonConflict, "user %q was changed by somebody else at this moment; look with `tocsin user list` and decide again", user.Name)
	}
	return err
}

// write puts the next change of a user. Its key of idempotency is the number of the change, so of two changes that
// were decided over the same record the second is refused (ErrOtherUse): a rotation can never undo a revocation.
func (u *Users) write(ctx context.Context, by dispatcher.Caller, user User, act, outcome string) error {
	key := strconv.FormatUint(user.changes, 10)
	user.changes++
	value := user.encode()
	digest := sha256.Sum256(value)
	_, err := u.records.Do(ctx, dispatcher.Act{
		User: "user:" + user.Name, // no user is named so: these keys are nobody else's
		Key:  key, Digest: hex.EncodeToString(digest[:]),
		Entry: dispatcher.Entry{
			At: now(), User: by.User, Role: by.Role.String(), Act: act, Subject: user.Name,
			Detail: "role " + user.Role.String(), Outcome: outcome,
		},
		Puts: []dispatcher.Put{{Table: dispatcher.TableUsers, Field: user.Name, Value: value}},
	})
	u.forget()
	if err != nil {
		return fmt.Errorf("%s %s: %w", act, user.Name, err)
	}
	return nil
}

func (u *Users) find(ctx context.Context, name string) (User, error) {
	byName, err := u.read(ctx)
	if err != nil {
		return User{}, err
	}
	user, ok := byName[name]
	if !ok {
		return User{}, warning.Refuse(warning.ReasonNotFound, "there is no user %q; `tocsin user list` shows all", name)
	}
	return user, user.broken
}

// read is all users as the store has them. A broken record keeps its name and lets nobody in; the others are not
// touched by it.
func (u *Users) read(ctx context.Context) (map[string]User, error) {
	rows, err := u.records.Table(ctx, dispatcher.TableUsers)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byName := make(map[string]User, len(rows))
	for name, value := range rows {
		user, err := decodeUser(name, value)
		if err != nil {
			user = User{Name: name, broken: err}
		}
		byName[name] = user
	}
	return byName, nil
}

func expiry(life time.Duration) (time.Time, error) {
	if life == 0 {
		life = DefaultLife
	}
	if life < 0 || life > MaxLife {
		return time.Time{}, warning.Invalid(warning.Violation{
			Field: "life", Rule: "user.life", Detail: fmt.Sprintf("a token cannot live %v", life),
			Remedy: "give more than 0 and at most 366 days; 90 days is usual",
		})
	}
	return now().Add(life), nil
}

func validUntil(u User) string { return "valid until " + u.Expires.Format(time.RFC3339) }

// now is UTC without a monotonic reading, as a stored time comes back.
func now() time.Time { return time.Now().UTC().Round(0) }
