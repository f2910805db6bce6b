package wiring

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/config"
	"tocsin/warning"
)

// roster is who can be rung: users of the configuration, with the roles that they have now, on duty by their hours or by
// hand.
type roster struct {
	*House
	numbers map[string]uint64
}

func newRoster(h *House) (*roster, error) {
	r := &roster{House: h, numbers: map[string]uint64{}}
	for _, x := range h.Config.Duty.People {
		n, err := strconv.ParseUint(x.Number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("duty.people: the number of %s: %w", x.User, err)
		}
		r.numbers[x.User] = n
	}
	return r, nil
}

// Callees leaves out who is no user any more.
func (r *roster) Callees(ctx context.Context, at time.Time) ([]dispatcher.Callee, error) {
	if len(r.Config.Duty.People) == 0 {
		return nil, nil
	}
	users, err := r.Users.List(ctx)
	if users == nil && err != nil {
		return nil, err
	}
	if err != nil { // the others can still be rung
		r.log.Warn("users cannot be read", zap.Error(err))
	}
	byHand, err := r.Store.Table(ctx, dispatcher.TableDuty)
	if err != nil {
		return nil, err
	}
	role := map[string]warning.Role{}
	for _, u := range users {
		if u.Valid(at) {
			role[u.Name] = u.Role
		}
	}
	var out []dispatcher.Callee
	for _, x := range r.Config.Duty.People {
		if role[x.User] != 0 {
			out = append(out, r.callee(x, role[x.User], string(byHand[x.User]), at))
		}
	}
	return out, nil
}

func (r *roster) callee(x config.OnDuty, role warning.Role, byHand string, at time.Time) dispatcher.Callee {
	c := dispatcher.Callee{
		User: x.User, Number: r.numbers[x.User], Backup: x.Backup, OnDuty: x.Hours.Has(at),
		Approves: role == warning.Approver || role == warning.Commander,
	}
	if byHand != "" {
		c.Switched, c.OnDuty = true, byHand == "on"
	}
	return c
}

// rosterID begins the id of a directory of people on duty. The rest is their numbers, hidden: it needs no place of its own
// in the store, and a plan that names it can be read for as long as it is kept.
const rosterID = "duty:"

// Snapshot is people with these numbers as a directory of their own.
func (r *roster) Snapshot(numbers []uint64) dispatcher.Snapshot {
	plain := make([]byte, 0, 8*len(numbers))
	for _, n := range numbers {
		plain = binary.LittleEndian.AppendUint64(plain, n)
	}
	return onDuty{rosterID + r.Store.Hide(plain), numbers}
}

// rostered is the directory of people on duty with this id; false: it is none.
func (d *directory) rostered(id string) (dispatcher.Snapshot, bool, error) {
	hidden, ok := strings.CutPrefix(id, rosterID)
	if !ok {
		return nil, false, nil
	}
	plain, err := d.store.Reveal(hidden)
	if err != nil {
		return nil, true, err
	}
	var numbers []uint64
	for ; len(plain) >= 8; plain = plain[8:] {
		numbers = append(numbers, binary.LittleEndian.Uint64(plain))
	}
	return onDuty{id, numbers}, true, nil
}

// onDuty is a directory of at most one block: responsible persons without a place.
type onDuty struct {
	id      string
	numbers []uint64
}

func (o onDuty) ID() string { return o.id }

func (o onDuty) Blocks() int { return min(1, len(o.numbers)) }

func (o onDuty) Block(int) warning.Block {
	n := len(o.numbers)
	b := warning.Block{
		Number: o.numbers, Lon: make([]int32, n), Lat: make([]int32, n), Home: make([]uint32, n), Seen: make([]uint32, n),
		Language: make([]uint8, n), Duty: make([]uint8, n), Flags: make([]uint8, n),
	}
	for i := range b.Duty {
		b.Duty[i] = uint8(warning.Responsible)
	}
	return b
}

func (o onDuty) Resolve([]warning.Area, warning.Presence) (warning.Selection, error) {
	return warning.Selection{}, warning.Refuse(warning.ReasonConflict, "people on duty have no place")
}

func (o onDuty) Remarks([]warning.Area) []warning.Violation { return nil }

func (o onDuty) Order(sel *warning.Selection, _ warning.Focus) []int {
	out := make([]int, len(sel.Blocks))
	for i := range out {
		out[i] = i
	}
	return out
}

func (o onDuty) Find(number uint64) (block, slot int, ok bool) {
	slot = slices.Index(o.numbers, number)
	return 0, slot, slot >= 0
}

func (o onDuty) District(uint32) string { return "" }

func (o onDuty) Residents(uint32) int64 { return 0 }
