package demo

import (
	"bufio"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/loadtest/carrierlog"
	"tocsin/loadtest/rig"
)

// arrival is one message that came to a carrier, whatever it was answered.
type arrival struct {
	at     int64 // Unix nanoseconds
	lane   int   // whose words it has; -1: others
	onDuty bool  // to a responsible person: a class above the public
}

// byWords tells lanes by words that each of their messages has, and no other.
func byWords(words ...string) func(*carrierlog.Line) int {
	return func(l *carrierlog.Line) int {
		return slices.IndexFunc(words, func(w string) bool { return strings.Contains(l.Words, w) })
	}
}

// byClass tells flash messages (1) from others (0): class 0 of 3GPP TS 23.038, section 4, which our words go as.
func byClass(l *carrierlog.Line) int {
	if l.Coding == 0x10 || l.Coding == 0x18 {
		return 1
	}
	return 0
}

// arrivalsAt reads what came to the account's carrier, in the order of time; lane tells whose a text is.
func arrivalsAt(r *rig.Rig, account string, lane func(*carrierlog.Line) int) ([]arrival, error) {
	f, err := os.Open(r.Log(account))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	responsible, err := onDuty(r.People())
	if err != nil {
		return nil, err
	}
	of := map[int]int{} // lane by number of text
	var out []arrival
	log := carrierlog.NewReader(f)
	for {
		var l carrierlog.Line
		switch err := log.Next(&l); {
		case errors.Is(err, io.EOF), errors.Is(err, carrierlog.ErrTruncated): // the carrier still writes
			slices.SortStableFunc(out, func(a, b arrival) int { return int(a.at - b.at) })
			return out, nil
		case err != nil:
			return nil, err
		}
		switch l.Event {
		case carrierlog.Text:
			of[l.Text] = lane(&l)
		case carrierlog.Submit:
			out = append(out, arrival{at: l.Time, lane: of[l.Text], onDuty: responsible[l.To]})
		}
	}
}

// onDuty is the numbers of the responsible persons of a directory.
func onDuty(path string) (map[uint64]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[uint64]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		number, rest, _ := strings.Cut(lines.Text(), ",")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && strings.Contains(rest, ",responsible,") {
			out[n] = true
		}
	}
	return out, lines.Err()
}

// span is when the first and the last message of a lane came; zero: none did.
type span struct {
	first, last int64
	messages    int
}

func spansOf(as []arrival, lanes int) []span {
	out := make([]span, lanes)
	for _, a := range as {
		if a.lane < 0 {
			continue
		}
		s := &out[a.lane]
		if s.messages == 0 {
			s.first = a.at
		}
		s.last = a.at
		s.messages++
	}
	return out
}

// Share is promise 4's fairness at one carrier: of the messages of any second in which all lanes have people waiting,
// each lane gets its part less one.
type Share struct {
	Account string  `json:"account"`
	Lanes   int     `json:"lanes"`
	FromS   float64 `json:"from_s"` // after the first release: from then on every lane was there
	ForS    float64 `json:"for_s"`
	// Of the second that was worst for a lane: when it began after the first release, which lane it was, its part of all
	// the lanes' messages, and what it got.
	AtS  float64 `json:"at_s"`
	Lane int     `json:"lane"`
	Part float64 `json:"part"`
	Got  int     `json:"got"`
}

// short is by how many messages the lane missed its part.
func (s *Share) short() float64 { return s.Part - float64(s.Got) }

// shareAt looks at every second that begins with an arrival while the public of all lanes was being sent to, and judges
// the first of them.
func shareAt(account string, all []arrival, lanes, judged int, released time.Time) Share {
	as := slices.DeleteFunc(slices.Clone(all), func(a arrival) bool { return a.onDuty })
	out := Share{Account: account, Lanes: lanes}
	from, to := int64(0), int64(1)<<62
	for _, s := range spansOf(as, lanes) {
		if s.messages == 0 {
			return out
		}
		from, to = max(from, s.first), min(to, s.last)
	}
	out.FromS, out.ForS = time.Unix(0, from).Sub(released).Seconds(), time.Duration(to-from).Seconds()
	got, sum, end := make([]int, lanes), 0, 0
	for i, a := range as {
		for ; end < len(as) && as[end].at < a.at+int64(time.Second); end++ {
			if l := as[end].lane; l >= 0 {
				got[l]++
				sum++
			}
		}
		if a.at >= from && a.at+int64(time.Second) <= to {
			if s := (Share{Part: float64(sum) / float64(lanes), Got: slices.Min(got[:judged])}); out.Part == 0 || s.short() > out.short() {
				out.Part, out.Got = s.Part, s.Got
				out.AtS, out.Lane = time.Unix(0, a.at).Sub(released).Seconds(), slices.Index(got, s.Got)
			}
		}
		if i < end && a.lane >= 0 {
			got[a.lane]--
			sum--
		}
	}
	return out
}
