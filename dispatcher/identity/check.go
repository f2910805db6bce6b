package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// How old the table may be for a token that it knows, and for one that it does not know: a new user need not wait, and
// somebody who guesses tokens cannot make the store busy.
const (
	knownAge   = time.Second
	unknownAge = 50 * time.Millisecond
	// For what is answered while the store is away: how long it is waited for, and how old the table may be.
	blindAfter = time.Second
	blindAge   = time.Hour
)

// table is the users as they were read at a time.
type table struct {
	at     time.Time
	byName map[string]User
}

// Check is who holds the token. ReasonUnknownUser when nobody does any more or ever did, with what to do;
// ReasonUnavailable when the store does not say: then nobody is let in.
func (u *Users) Check(ctx context.Context, token string) (dispatcher.Caller, error) {
	return u.check(ctx, token, false)
}

// check is Check; where blind, what the table said last still holds while the store does not answer in time.
func (u *Users) check(ctx context.Context, token string, blind bool) (dispatcher.Caller, error) {
	name, err := tokenUser(token)
	if err != nil {
		return dispatcher.Caller{}, err
	}
	asking := ctx
	if blind {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, blindAfter)
		defer cancel()
	}
	hash := hashToken(token)
	holder, ok, err := u.holder(asking, name, hash, knownAge)
	if err == nil && !ok {
		holder, ok, err = u.holder(asking, name, hash, unknownAge)
	}
	if err != nil && blind {
		holder, ok, err = u.holder(ctx, name, hash, blindAge)
	}
	switch now := time.Now(); {
	case err != nil:
		return dispatcher.Caller{}, err
	case !ok:
		return dispatcher.Caller{}, warning.Refuse(warning.ReasonUnknownUser, "the token is not valid: it was replaced, or never given here; ask for a new one (`tocsin user rotate %s`) and log in with `tocsin login`", name)
	case !holder.Revoked.IsZero():
		return dispatcher.Caller{}, warning.Refuse(warning.ReasonUnknownUser, "user %q was revoked; ask an operator for another user", name)
	case !holder.Valid(now):
		return dispatcher.Caller{}, warning.Refuse(warning.ReasonUnknownUser, "the token expired on %s; ask for a new one (`tocsin user rotate %s`) and log in with `tocsin login`", holder.Expires.Format(time.RFC3339), name)
	}
	return dispatcher.Caller{User: holder.Name, Role: holder.Role}, nil
}

// holder looks into the table, which it reads again when it is older than age.
func (u *Users) holder(ctx context.Context, name string, hash [sha256.Size]byte, age time.Duration) (User, bool, error) {
	var t table
	select {
	case t = <-u.table:
	case <-ctx.Done():
		return User{}, false, ctx.Err()
	}
	if t.byName == nil || time.Since(t.at) >= age {
		at := time.Now() // before the read: what changes during it is seen by the next
		byName, err := u.read(ctx)
		if err != nil {
			u.table <- t
			return User{}, false, warning.Refuse(warning.ReasonUnavailable, "users cannot be read just now, so nobody is let in; repeat the call")
		}
		t = table{at: at, byName: byName}
	}
	u.table <- t
	user := t.byName[name] // an unknown or broken user has a hash that no token has
	return user, subtle.ConstantTimeCompare(user.hash[:], hash[:]) == 1, nil
}

// forget makes the next Check read the table.
func (u *Users) forget() {
	<-u.table
	u.table <- table{}
}
