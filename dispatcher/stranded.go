package dispatcher

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// This file is for people who wait at an account that no configuration has: it was taken out of the file before a start, or
// a process ended while an account was leaving. A process that finds them takes the account over without links: who may goes
// another way, as at a fail-over, and who may not is counted to the end (promise 2).

// strandedAfter is how long nobody must own such an account: another process may have it in its file and be starting.
const strandedAfter = 10 * time.Second

// stranded takes over accounts that this process does not have, where people of a warning wait and that nobody owns.
func (e *Engine) stranded(ctx context.Context, plan *Plan, tails []StrandTail) error {
	var names []string
	for i, t := range tails {
		name := plan.Strands[i].Account
		if name != "" && t.Counts[warning.Waiting]+t.Counts[warning.Sending]+int64(t.Stats.Due) > 0 && e.account(name) == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	owners, err := e.records.Obeyed(ctx, names)
	if err != nil {
		return err
	}
	e.changing.Lock()
	defer e.changing.Unlock()
	for _, name := range names {
		since, found := e.unowned[name]
		switch _, owned := owners[name]; {
		case owned:
			delete(e.unowned, name)
		case !found:
			e.unowned[name] = time.Now()
		case time.Since(since) >= strandedAfter && e.account(name) == nil:
			delete(e.unowned, name)
			e.log.Warn("people wait at an account that the configuration does not have: who may goes by another one", zap.String("account", name))
			a := newAccount(e, AccountOptions{Account: channels.Account{Name: name}, Rate: 1}, noLinks{e})
			a.leaving = true
			e.join(a)
		}
	}
	return nil
}

// noLinks is the adapter of an account that has no carrier: nothing leaves by it.
type noLinks struct{ e *Engine }

func (n noLinks) Open(channels.Account, channels.Sink) (channels.Carrier, error) { return n, nil }

func (n noLinks) Prepare(c channels.Content) (channels.Prepared, error) { return n.e.cut(c) }

func (noLinks) Room() int                                      { return 0 }
func (noLinks) Send(channels.Prepared, []channels.Message) int { return 0 }
func (noLinks) Links() []channels.LinkHealth                   { return nil }
func (noLinks) Close(context.Context) error                    { return nil }
