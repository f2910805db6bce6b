package dispatcher

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tocsin/channels"
	"tocsin/warning"
)

// pumpEvery is how long the pump sleeps at most while there is work, and how much of the rate one turn may take.
const pumpEvery = 2 * time.Millisecond

// pump hands messages over: it wakes at a freed slot, at a new grant, or after 2 ms, and takes what the ring allows in
// the order of the scheduler.
func (a *account) pump(ctx context.Context) {
	timer := time.NewTimer(pumpEvery)
	defer timer.Stop()
	buf := make([]channels.Message, 0, 1024)
	for {
		busy := false
		for a.turn(&buf, &busy) {
		}
		wait := pumpEvery
		if !busy {
			wait = 100 * time.Millisecond
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// turn hands one group of one flow to the carrier. It answers whether another turn may follow at once; busy says that
// there is work for later.
func (a *account) turn(buf *[]channels.Message, busy *bool) bool {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	room := a.carrier.Room()
	a.mu.Lock()
	now := time.Now()
	n, open := a.mayLeave(now, room)
	f, people := a.sched.Next(n)
	*busy = open && a.sched.waiting()
	if f == nil {
		a.mu.Unlock()
		return false
	}
	s := f.strand
	if !now.Before(s.w.Spec.Expires) { // the last moment: nothing leaves after expiry
		s.state = warning.Expired
		s.ready(&a.sched)
		a.mu.Unlock()
		kick(a.commit)
		return true
	}
	if s.by != a.carrier { // others have taken its place
		if err := s.prepareFor(a.carrier); err != nil {
			a.log.Error("a part of a warning cannot be sent by the links as they are configured now; its people wait", zap.String("warning", s.Warning), zap.Error(err))
			a.lastError = fmt.Sprintf("the words of %s cannot be sent by the links: %v", s.Warning, err)
			s.state = warning.Held // until something new is read from the store
			s.ready(&a.sched)
			a.mu.Unlock()
			kick(a.commit)
			return true
		}
	}
	var language uint8
	again := f == &s.retry
	if again {
		*buf, language = s.takeAgain((*buf)[:0], people)
	} else {
		*buf, language = s.takeFirst((*buf)[:0], people)
	}
	msgs := *buf
	messages := 0
	whole := s.led.whole[language]
	for i := range msgs {
		messages += ones(whole &^ msgs[i].Skip)
	}
	a.inflight += messages // before the answers can come
	a.sched.Taken(f, len(msgs))
	next := s.next
	a.sending = s
	a.mu.Unlock()

	took := a.carrier.Send(s.prepared[language], msgs)

	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending = nil
	now = time.Now()
	for i := took; i < len(msgs); i++ { // did not fit: back to where they stood
		messages -= ones(whole &^ msgs[i].Skip)
		a.inflight -= ones(whole &^ msgs[i].Skip)
	}
	if took < len(msgs) {
		a.putBack(s, msgs[took:], again || s.next != next, now)
		a.sched.Taken(f, took-len(msgs))
	}
	s.ready(&a.sched)
	if took > 0 {
		a.ring.Add(now, messages)
		a.burst.AllowN(now, min(messages, a.burst.Burst()))
		a.sentTotal.add(now, messages)
		s.sent += int64(messages)
		s.pace.add(now, messages)
		if s.first.IsZero() {
			s.first = now
		}
		s.last = now
		a.touch(s)
		s.highest = max(s.highest, a.ring.Now())
		if a.hungry() {
			kick(a.commit)
		}
	}
	return took == len(msgs)
}

// putBack puts people who did not fit back to where they stood. Where others of the strand stand there now, because some
// behind them have left the directory meanwhile, they are sent to as if granted another time. mu is held.
func (a *account) putBack(s *strand, unsent []channels.Message, again bool, now time.Time) {
	if !again {
		s.next -= uint32(len(unsent))
		return
	}
	back := make([]uint32, 0, len(unsent)+len(s.again))
	for _, m := range unsent {
		back = append(back, uint32(m.Token))
	}
	s.again = append(back, s.again...)
	a.withdraw(s, now)
}

// mayLeave is how many messages may be given to sockets now; open says that the account sends at all.
func (a *account) mayLeave(now time.Time, room int) (n int, open bool) {
	if a.control.Paused || !now.Before(a.deadline) || now.Before(a.quiet) {
		return 0, false
	}
	rate := max(1, int(float64(a.rate)*a.slow.factor()))
	n = min(a.ring.Allow(now, rate), int(a.burst.TokensAt(now)), room, max(8, int(float64(a.rate)*pumpEvery.Seconds())))
	flight := a.flightCap(rate) - a.inflight
	if s, ok := a.carrier.(channels.Staller); ok && flight < n {
		flight += s.Stalled(max(time.Second, 4*a.trip.median)) // a dead link's window keeps nobody waiting on the others
	}
	return min(n, flight), true
}

// flightCap is how many messages may be without answer: a full window is a queue that no red can pass.
func (a *account) flightCap(rate int) int {
	rtt := a.trip.median
	if rtt == 0 {
		rtt = 100 * time.Millisecond
	}
	return max(16, int(1.25*float64(rate)*rtt.Seconds()))
}

// unsent is how many messages are granted and not given to a socket.
func (a *account) unsent() (n int) {
	for _, held := range a.flows() {
		n += held
	}
	return n
}

func ones(m uint8) (n int) {
	for ; m != 0; m &= m - 1 {
		n++
	}
	return n
}
