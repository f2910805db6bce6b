package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/dispatcher"
)

// Options of a sealer.
type Options struct {
	Records     Records
	Realm       string             // whose record it is; no white space
	Key         ed25519.PrivateKey // not in the store
	SecondPlace string             // path of the file; of this process alone
	// Alarm is called when sealing begins to fail, and with nil when it works again.
	Alarm func(error)
}

// interval is how often a sealer looks for new entries.
const interval = time.Second

// Sealer seals the record of acts.
type Sealer struct {
	o     Options
	lines []string // of the second place when it was opened, until they are examined

	mu       sync.Mutex // one sealing at a time; guards what follows
	place    *place
	examined bool
	forged   error // not nil: the record is not what was sealed, and no seal of ours shall cover it
	number   uint64
	hash     Hash
	last     mark     // of entry number
	stored   uint64   // number of our seal in the store; 0: none
	left     []uint64 // numbers of other seals that were there when this process began

	failing bool // as the alarm was told; Run's own

	headMu sync.Mutex
	head   string
}

// Open opens the second place. What is in the record is examined at the first Seal, so that an engine starts at once,
// also with a record that was forged: warnings must leave, and the alarm is raised.
func Open(o Options) (*Sealer, error) {
	if o.Realm == "" || strings.ContainsFunc(o.Realm, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("realm %q: a realm is named with visible ASCII characters, without spaces", o.Realm)
	}
	if len(o.Key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("the key of the seals has %d bytes; an Ed25519 key has %d", len(o.Key), ed25519.PrivateKeySize)
	}
	p, lines, err := openPlace(o.SecondPlace)
	if err != nil {
		return nil, fmt.Errorf("second place: %w", err)
	}
	s := &Sealer{o: o, place: p, lines: lines}
	if len(lines) > 0 {
		if l, err := parseLine(lines[len(lines)-1]); err == nil {
			s.head = l.seal.String()
		}
	}
	return s, nil
}

// Run seals each second until ctx ends, and once more then.
func (s *Sealer) Run(ctx context.Context) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.tick(ctx)
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), interval)
			defer cancel()
			s.tick(end)
			return
		}
	}
}

func (s *Sealer) tick(ctx context.Context) {
	err := s.Seal(ctx)
	if failing := err != nil; failing != s.failing {
		s.failing = failing
		if s.o.Alarm != nil {
			s.o.Alarm(err)
		}
	}
}

// Close closes the second place. Seal fails afterwards.
func (s *Sealer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place.file.Close()
}

// Head is the text of the newest seal, for reports and logs; "" before the first.
func (s *Sealer) Head() string {
	s.headMu.Lock()
	defer s.headMu.Unlock()
	return s.head
}

// ErrForged says that the record is not what was sealed.
var ErrForged = errors.New("the record of acts is not what was sealed")

// Seal seals all entries that are in the store now. It fails with ErrForged, now and always, when what was sealed
// before has been changed: a seal of ours never covers a forgery. After an other error, call it again.
func (s *Sealer) Seal(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.examined {
		if err := s.examine(ctx); err != nil {
			return err
		}
	}
	for s.forged == nil {
		more, err := s.step(ctx)
		if err != nil || !more {
			return err
		}
	}
	return s.forged
}

// examine compares the record with the seals and goes to where the second place ends.
func (s *Sealer) examine(ctx context.Context) error {
	e, err := examine(ctx, s.o.Records, s.o.Realm, s.lines, s.o.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	s.examined, s.lines = true, nil
	if !e.result.OK() {
		s.forge("%v", e.result.Findings)
		return nil
	}
	if s.number = e.end; s.number > 0 {
		s.hash, s.last, s.stored = e.hashes[s.number], e.actual[s.number-1], s.number
	}
	for _, c := range e.claims {
		if c.Number != s.stored {
			s.left = append(s.left, c.Number)
		}
	}
	return nil
}

func (s *Sealer) forge(format string, args ...any) {
	s.forged = fmt.Errorf("%w: %s; keep the store and %s as they are, run `tocsin audit verify`, and after a restore on purpose begin a new second place", ErrForged, fmt.Sprintf(format, args...), s.o.SecondPlace)
}

// step seals up to a chunk of entries and tells whether there may be more. It reads the last sealed entry again: where
// that has changed, the record was cut or shifted.
func (s *Sealer) step(ctx context.Context) (more bool, err error) {
	from, n := s.number+1, chunk
	if s.number > 0 {
		from, n = from-1, n+1
	}
	entries, err := s.o.Records.Entries(ctx, from, n)
	if err != nil {
		return false, fmt.Errorf("read entries from %d: %w", from, err)
	}
	if s.number > 0 {
		if len(entries) == 0 || markOf(entries[0]) != s.last {
			s.forge("entry %d, sealed a moment ago, has changed or is gone", s.number)
			return false, s.forged
		}
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return false, nil
	}
	number, h := s.number, s.hash
	l := line{marks: make([]mark, len(entries))}
	for i, entry := range entries {
		number++
		h = h.next(number, entry)
		l.marks[i] = markOf(entry)
	}
	l.seal = sign(s.o.Key, s.o.Realm, number, h, time.Now())
	if err := s.store(ctx, l.seal); err != nil {
		return false, err
	}
	if err := s.place.append(l); err != nil {
		return false, err
	}
	s.number, s.hash, s.last = number, h, l.marks[len(l.marks)-1]
	s.headMu.Lock()
	s.head = l.seal.String()
	s.headMu.Unlock()
	return len(entries) == chunk, nil
}

// store puts the seal into the store in place of ours before, and of those that a crash has left there, or a process that ended. It
// adds no entry: a seal of a seal would never end.
func (s *Sealer) store(ctx context.Context, seal Seal) error {
	puts := []dispatcher.Put{{Table: dispatcher.TableSeals, Field: strconv.FormatUint(seal.Number, 10), Value: []byte(seal.String())}}
	if s.stored != 0 && s.stored != seal.Number {
		puts = append(puts, dispatcher.Put{Table: dispatcher.TableSeals, Field: strconv.FormatUint(s.stored, 10)})
	}
	for _, n := range s.left {
		if n < seal.Number {
			puts = append(puts, dispatcher.Put{Table: dispatcher.TableSeals, Field: strconv.FormatUint(n, 10)})
		}
	}
	if _, err := s.o.Records.Do(ctx, dispatcher.Act{Puts: puts}); err != nil {
		return fmt.Errorf("store the seal of entry %d: %w", seal.Number, err)
	}
	s.stored = seal.Number
	s.left = slices.DeleteFunc(s.left, func(n uint64) bool { return n <= seal.Number })
	return nil
}
