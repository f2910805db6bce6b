package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Faults shows promises 2, 3 and 4 where something is broken: a lane with nothing but errors beside good ones, and a
// link that is dead beside others.
type Faults struct {
	OK     bool       `json:"ok"`
	Why    []string   `json:"why"`
	Errors *BadLane   `json:"lane_with_nothing_but_errors"`
	Dead   *DeadLinks `json:"dead_link"`
}

// ShowFaults runs both, each in a house of its own.
func ShowFaults(ctx context.Context, o Options) (*Faults, error) {
	f := &Faults{}
	var err error
	if f.Errors, err = showBadLane(ctx, o); err != nil {
		return nil, err
	}
	if f.Dead, err = showDeadLink(ctx, o); err != nil {
		return nil, err
	}
	f.Why = append(slices.Clone(f.Errors.Why), f.Dead.Why...)
	f.OK = len(f.Why) == 0
	return f, nil
}

// BadLane is two reds side by side, of which each carrier takes one only, and an orange below them.
type BadLane struct {
	*Result
	Faults   map[string]string `json:"faults"` // what the carrier of an account answers
	Finished []FinishedLane    `json:"finished"`
	Shares   []Share           `json:"shares"`
	Below    []FinishedLane    `json:"orange_after_the_red"` // alone: at the rate of the reds before it
}

// statuses is what the carriers answer each message of the bad red, by account (SMPP 3.4, clause 5.1.3).
var statuses = []struct {
	account, name, status string
	stand                 func(*pb.ReportResponse_Row) int64 // where its people are while it goes on
}{
	{"mobile", "ESME_RSUBMITFAIL", "0x45", (*pb.ReportResponse_Row).GetNotReached},
	{"unicom", "ESME_RTHROTTLED", "0x58", (*pb.ReportResponse_Row).GetWaiting},
	{"telecom", "ESME_RSYSERR", "0x08", (*pb.ReportResponse_Row).GetWaiting},
}

// slack is how much longer the orange may take than at the rate of the reds before it: the tries again of the bad lane
// have the floor of 2 %.
const slack = 1.1

func showBadLane(ctx context.Context, o Options) (*BadLane, error) {
	const good, bad, orange = "【演练】暴雨红色预警甲", "【演练】暴雨红色预警乙", "【演练】暴雨橙色预警丙"
	o.Rig.Dir = filepath.Join(o.Rig.Dir, "errors")
	o.Rig.Accounts = slices.Clone(o.Rig.Accounts)
	out := &BadLane{Faults: map[string]string{}}
	for i := range o.Rig.Accounts {
		a := &o.Rig.Accounts[i]
		for _, s := range statuses {
			if s.account == a.Name {
				a.Sim = append(slices.Clone(a.Sim), "--fault-words", bad, "--fault-status", s.status)
				out.Faults[a.Name] = s.name
			}
		}
	}
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	var ws []*pb.Warning
	for _, x := range []struct {
		tier  pb.Tier
		words string
	}{{pb.Tier_TIER_RED, good}, {pb.Tier_TIER_RED, bad}, {pb.Tier_TIER_ORANGE, orange}} {
		w, _, err := r.Submit(ctx, rig.WithText(rig.Rainstorm(x.tier, "", "", rig.Units(rig.Twelve...)...), x.words))
		if err != nil {
			return nil, err
		}
		ws = append(ws, w)
	}
	o.Say("releasing a red, another one that no carrier takes, and an orange")
	sent, err := approveAll(ctx, r, ws)
	if err != nil {
		return nil, err
	}
	reports, err := settledAll(ctx, r, []string{ws[0].GetId(), ws[2].GetId()}, []time.Time{sent[0], sent[2]})
	if err != nil {
		return nil, err
	}
	waits, err := r.Report(ctx, ws[1].GetId())
	if err != nil {
		return nil, err
	}
	status, err := lookAt(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := r.Cancel(ctx, ws[1].GetId()); err != nil {
		return nil, err
	}
	cancelled, err := r.Settled(ctx, ws[1].GetId(), time.Second)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, 0, ws[0].GetId(), ws[1].GetId(), ws[2].GetId())
	if err != nil {
		return nil, err
	}
	out.Result = judge(o.Rig, v, reports[0], told{cancelled, sent[1]}, reports[1])
	out.contractKept()
	for _, f := range status.GetFindings() {
		if f.GetKind() == "slowed" || f.GetKind() == "route" {
			out.fault("account %s suffers from the bad lane: %s, %s", f.GetSubject(), f.GetKind(), f.GetDetail())
		}
	}
	out.accounted(waits, cancelled)
	for _, a := range o.Rig.Accounts {
		as, err := arrivalsAt(r, a.Name, byWords(good, bad, orange))
		if err != nil {
			return nil, err
		}
		out.sharesOf(a, as, sent)
	}
	out.finish(began)
	return out, nil
}

// accounted holds where the people of the bad lane stood while it went on, and after it was cancelled.
func (b *BadLane) accounted(before, after *pb.ReportResponse) {
	for _, x := range []*pb.ReportResponse{before, after} {
		if n := x.GetDelivered() + x.GetHandedOver(); n != 0 {
			b.fault("%d people are said to have what no carrier took", n)
		}
		for _, l := range x.GetLanes() {
			if !l.GetBalanced() {
				b.fault("the bad lane is not balanced")
			}
			if n := l.GetWaiting() + l.GetSending(); x == after && n != 0 || l.GetUnknown() != 0 {
				b.fault("the bad lane has %d people who wait and %d unknown ones", n, l.GetUnknown())
			}
		}
	}
	rows := map[string]*pb.ReportResponse_Row{}
	for _, row := range before.GetByCarrier() {
		rows[row.GetKey()] = row
	}
	for _, s := range statuses {
		of := rows[s.account]
		if n := s.stand(of); n != of.GetPlanned() || n == 0 {
			b.fault("account %s answers %s to %d people of the bad lane, and %d of them stand there", s.account, s.name, of.GetPlanned(), n)
		}
	}
}

// sharesOf holds what each lane got at one carrier.
func (b *BadLane) sharesOf(a rig.Account, as []arrival, sent []time.Time) {
	spans := spansOf(as, 3)
	reds := slices.DeleteFunc(slices.Clone(as), func(x arrival) bool { return x.lane == 2 })
	s := shareAt(a.Name, reds, 2, 1, sent[0])
	b.Shares = append(b.Shares, s)
	if s.ForS < 2 {
		b.fault("account %s sent to both reds together for %.1f s only: say more --recipients", a.Name, s.ForS)
	} else if s.short() > 1+jitter {
		b.fault("account %s: the good red got %d messages of a second, its part is %.1f", a.Name, s.Got, s.Part)
	}
	red := finished(a, spans[0], sent[0], float64(a.Contract)/2)
	b.Finished = append(b.Finished, red)
	if red.Messages == 0 || red.Ratio > 2 {
		b.fault("account %s: %d messages of the good red took %.2f s, alone at their share %.2f", a.Name, red.Messages, red.AfterS, red.AloneS)
	}
	before, below := 0, spans[2]
	below.messages = 0
	for _, x := range as {
		if x.at <= spans[0].last {
			before++
		} else if x.lane == 2 {
			below.messages++
		}
	}
	rate := float64(before) / time.Duration(spans[0].last-spans[0].first).Seconds()
	orange := finished(a, below, time.Unix(0, spans[0].last), rate)
	b.Below = append(b.Below, orange)
	if orange.Messages == 0 || orange.Ratio > slack {
		b.fault("account %s: the orange took %.2f s behind the reds, at their rate %.2f", a.Name, orange.AfterS, orange.AloneS)
	}
}

// finished is how long the messages of a span took from a moment on, against so many a second.
func finished(a rig.Account, s span, from time.Time, perS float64) FinishedLane {
	f := FinishedLane{Account: a.Name, Messages: s.messages, AfterS: time.Unix(0, s.last).Sub(from).Seconds(), AloneS: float64(s.messages) / perS}
	f.Ratio = f.AfterS / f.AloneS
	return f
}

// DeadLinks is one account of which one link dies on the way.
type DeadLinks struct {
	*Result
	Account string   `json:"account"`
	Links   int      `json:"links"`
	Window  int      `json:"window_messages"`
	AnswerS float64  `json:"answer_timeout_s"`
	Status  []string `json:"status"` // what it says of the links
	Found   string   `json:"finding"`
	Repeats int64    `json:"possible_repeats_people"`
	Extra   int64    `json:"repeats_at_the_carrier_messages"`
	// OthersUsed is how much of the contract the other links used from a second and a half after the death on, until the
	// last message that was no repeat, and WholeUsed what the accounts used whose links are all well, the least of them.
	OthersUsed float64 `json:"others_used_of_contract"`
	WholeUsed  float64 `json:"other_accounts_used_of_contract"`
	PauseS     float64 `json:"longest_silence_s"`
}

// The link of the first account that brings this message dies, and the engine waits so long for an answer.
const (
	deathAt = 2000
	answer  = 4 * time.Second
	// noticed is how long after the death the others have its share: a second without an answer, and half of one for it
	// to show.
	noticed = 1500 * time.Millisecond
)

func showDeadLink(ctx context.Context, o Options) (*DeadLinks, error) {
	o.Rig.Dir = filepath.Join(o.Rig.Dir, "dead")
	o.Rig.Accounts = slices.Clone(o.Rig.Accounts)
	a := &o.Rig.Accounts[0]
	a.Links, a.Answer = 4, answer
	a.Sim = append(slices.Clone(a.Sim), "--dead-after", fmt.Sprint(deathAt))
	r, err := rig.Raise(ctx, o.Rig)
	if err != nil {
		return nil, err
	}
	defer r.Down()
	began := time.Now()
	o.Say("releasing a red; one of the %d links of %s dies at its message %d", a.Links, a.Name, deathAt)
	w, sent, err := r.Warn(ctx, rig.Rainstorm(pb.Tier_TIER_RED, "渝东南", "the southeast", rig.Units(rig.Twelve...)...))
	if err != nil {
		return nil, err
	}
	rep, err := r.Settled(ctx, w.GetId(), 2*time.Second)
	if err != nil {
		return nil, err
	}
	out := &DeadLinks{Account: a.Name, Links: a.Links, Window: a.Window, AnswerS: answer.Seconds()}
	status, err := lookAt(ctx, r)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(ctx, int64(a.Window), w.GetId())
	if err != nil {
		return nil, err
	}
	out.Result = judge(o.Rig, v, told{rep, sent})
	out.contractKept()
	out.Extra = v.ExtraMessages
	for _, l := range rep.GetLanes() {
		out.Repeats += l.GetPossibleRepeats()
		if n := l.GetDelivered(); n != l.GetPlanned() {
			out.fault("%d of %d people have it", n, l.GetPlanned())
		}
	}
	if n := out.Repeats; n < 1 || n > int64(a.Window) {
		out.fault("%d people were unknown and sent to again, the window holds %d messages", n, a.Window)
	}
	out.named(status)
	if err := out.carriedOn(r, o.Rig.Accounts); err != nil {
		return nil, err
	}
	out.finish(began)
	return out, nil
}

// named holds what the status says of the links of the account.
func (d *DeadLinks) named(s *pb.StatusResponse) {
	for _, f := range s.GetFindings() {
		if f.GetKind() == "links" && f.GetSubject() == d.Account {
			d.Found = f.GetDetail()
		}
	}
	down := 0
	for _, a := range s.GetAccounts() {
		for _, l := range a.GetLinks() {
			if a.GetName() == d.Account && !l.GetUp() && l.GetLastError() != "" {
				d.Status = append(d.Status, fmt.Sprintf("link %d: %s", l.GetIndex(), l.GetLastError()))
				down++
			}
		}
	}
	if d.Found == "" || down != 1 {
		d.fault("one link is dead, and the status says: %q, %q", d.Found, d.Status)
	}
}

// asWell is how much of what whole accounts use the other links of a broken one have to use, on a machine that is too busy
// for any to use its contract.
const asWell = 0.98

// carriedOn holds what arrived after the death, at its account and at the others.
func (d *DeadLinks) carriedOn(r *rig.Rig, accounts []rig.Account) error {
	var from, to int64
	for i, a := range accounts {
		as, err := arrivalsAt(r, a.Name, byClass)
		if err != nil {
			return err
		}
		if i == 0 {
			if len(as) < deathAt+4*a.Contract {
				return fmt.Errorf("only %d messages went to %s: say more --recipients", len(as), a.Name)
			}
			// What was in the window comes last, when the time-out has ended: at most so many messages.
			from, to = as[deathAt].at+int64(noticed), as[len(as)-1-a.Window].at
		}
		as = slices.DeleteFunc(as, func(x arrival) bool { return x.at < from || x.at > to })
		used := float64(len(as)) / (float64(a.Contract)*time.Duration(to-from).Seconds() + 1)
		if i == 0 {
			d.OthersUsed, d.PauseS = used, silence(as).Seconds()
		} else if d.WholeUsed == 0 || used < d.WholeUsed {
			d.WholeUsed = used
		}
	}
	a := accounts[0]
	if least := min(0.998/(time.Second+a.Guard).Seconds(), asWell*d.WholeUsed); d.OthersUsed < least {
		d.fault("account %s: the other links used %.4f of the contract, the least is %.4f", a.Name, d.OthersUsed, least)
	}
	return nil
}

// lookAt is the house as whoever is on watch sees it.
func lookAt(ctx context.Context, r *rig.Rig) (*pb.StatusResponse, error) {
	conn, err := r.As(rig.Engineer)
	if err != nil {
		return nil, err
	}
	return pb.NewHouseServiceClient(conn).Status(ctx, &pb.StatusRequest{})
}
