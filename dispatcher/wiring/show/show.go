// Package show writes what the engine answers as people read it: plain text in both languages, and CSV. It is pure: from
// a message of the contract to text.
package show

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Language is zh-CN or en.
type Language string

func (l Language) say(t warning.Text, args ...any) string { return warning.Say(string(l), t, args...) }

func (l Language) name(kind, name string) string { return l.say(warning.TextOf(kind, name)) }

// count is a number in groups of three.
func count[T ~int | ~int32 | ~int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// orFew is a total, which is veiled where it is of few people.
func (l Language) orFew(n int64, few bool) string {
	if few {
		return l.say(warning.TextFew)
	}
	return count(n)
}

// orHidden is the count of a part. One that is veiled is of few people, or of any number beside a part of few.
func (l Language) orHidden(n int64, few bool) string {
	if few {
		return l.say(warning.TextHidden)
	}
	return count(n)
}

// clock is a time of day in the reader's zone; "–" where there is none.
func clock(t *timestamppb.Timestamp, layout string) string {
	if t == nil {
		return "–"
	}
	return t.AsTime().Local().Format(layout)
}

// short is a duration as people say it.
func short(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// enum is the stable lower-case name of a value of the contract, such as orange for TIER_ORANGE.
func enum(prefix, name string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func (l Language) tier(t pb.Tier) string     { return l.name("tier", enum("TIER_", t.String())) }
func (l Language) status(s pb.Status) string { return l.name("status", enum("STATUS_", s.String())) }
func (l Language) state(s pb.State) string   { return l.name("state", enum("STATE_", s.String())) }
func (l Language) channel(c pb.Channel) string {
	return l.name("channel", enum("CHANNEL_", c.String()))
}

// event is the name of the danger, and what a warning does to the one before it.
func (l Language) event(s *pb.WarningSpec) string {
	if s.GetType() <= pb.Type_TYPE_ALERT {
		return l.danger(s)
	}
	return l.say(warning.TextFollows, l.danger(s), l.name("type", enum("TYPE_", s.GetType().String())))
}

// danger is the issuer's own name of it, else that of the code.
func (l Language) danger(s *pb.WarningSpec) string {
	e, ok := warning.EventOf(s.GetEvent())
	switch {
	case s.GetEventName() != "" && (l == "zh-CN" || !ok):
		return s.GetEventName()
	case !ok:
		return s.GetEvent()
	case l == "zh-CN":
		return e.Chinese
	}
	return e.English
}

// Warning is one line about a warning.
func (l Language) Warning(w *pb.Warning) string {
	line := w.GetId() + "  " + l.say(warning.TextTitle, l.event(w.GetSpec()), l.tier(w.GetSpec().GetTier()), l.status(w.GetSpec().GetStatus()), l.state(w.GetState()))
	if w.GetState() == pb.State_STATE_SUBMITTED && w.GetApprovalsMissing() > 0 {
		line += "; " + l.say(warning.TextMissing, w.GetApprovalsMissing())
	}
	if w.GetWaitsS() > 0 {
		line += "; " + l.Waits(w.GetWaitsS())
	}
	if w.GetWhy() != "" {
		line += "; " + w.GetWhy()
	}
	if r := w.GetReview(); r != nil && r.GetClosedBy() == "" {
		line += "; " + l.say(warning.TextReviewOpen)
	}
	return line
}

// withZone is a time of which it matters which it is: the words say it by the clock of Beijing, a machine may have another.
const withZone = "2006-01-02 15:04:05 -07:00"

// Holds is how long a warning holds, and whose it is.
func (l Language) Holds(w *pb.Warning) string {
	return l.say(warning.TextHolds, clock(w.GetSpec().GetExpires(), withZone), strings.Join(w.GetSpec().GetIssuers(), l.say(warning.TextListJoin)), w.GetSubmittedBy())
}

// Clocks says that a validity counts from another time than the engine recorded.
func (l Language) Clocks(from time.Time, w *pb.Warning) string {
	return l.say(warning.TextClocks, from.Local().Format(withZone), clock(w.GetSubmittedAt(), withZone), clock(w.GetSpec().GetExpires(), withZone))
}

// Review is one line about a review.
func (l Language) Review(r *pb.Review) string {
	line := r.GetWarningId() + "  " + l.say(warning.TextReview, r.GetOpenedBy(), clock(r.GetOpenedAt(), "2006-01-02 15:04"), r.GetWhy()+r.GetPaper())
	switch {
	case r.GetClosedBy() != "":
		return line + "; " + l.say(warning.TextReviewClosed, r.GetClosedBy(), r.GetFinding())
	case r.GetOverdue():
		return line + "; " + l.say(warning.TextReviewOverdue, clock(r.GetDue(), "2006-01-02 15:04"))
	}
	return line + "; " + l.say(warning.TextReviewDue, clock(r.GetDue(), "2006-01-02 15:04"))
}

// Policy is the policy in force, and the one that waits.
func (l Language) Policy(now *pb.Policy, waits *pb.Proposal) []string {
	lines := []string{l.say(warning.TextPolicy, now.GetDigest(), clock(now.GetSince(), "2006-01-02 15:04"), strings.Join(now.GetAgreed(), " ")), now.GetJson()}
	return append(lines, l.Proposal(waits)...)
}

// Proposal is a policy that waits for two persons; nothing where there is none.
func (l Language) Proposal(p *pb.Proposal) []string {
	if p == nil {
		return nil
	}
	lines := []string{l.say(warning.TextProposal, p.GetDigest(), len(p.GetAgreed()))}
	for _, way := range p.GetLoosens() {
		lines = append(lines, "  "+way)
	}
	return lines
}

// Preview is who would get what.
func (l Language) Preview(p *pb.PreviewResponse) []string {
	veiled := func(n int64) string { return l.orFew(n, p.GetFew()) }
	lines := append([]string{l.say(warning.TextInArea, veiled(p.GetPeople()), veiled(p.GetAddressable()))}, l.nothing(p)...)
	hidden, finish := false, short(p.GetSecondsToFinish())
	for _, c := range p.GetCarriers() {
		if hidden = hidden || c.GetFew(); c.GetFew() && p.GetSecondsToFinish() == 0 { // it would tell the messages
			finish = "–"
		}
	}
	lines = append(lines, l.say(warning.TextPreviewShare, 100*p.GetShareOfJurisdiction(), finish))
	if p.GetResidents() > 0 {
		lines = append(lines, l.say(warning.TextPreviewHomes, count(p.GetResidents()), min(100, 100*float64(p.GetAddressable())/float64(p.GetResidents()))))
	}
	lines = append(lines, l.told(p.GetTold())...)
	for _, r := range p.GetRemarks() {
		lines = append(lines, "  "+r.GetText())
	}
	if p.GetBorder() != "" {
		lines = append(lines, p.GetBorder())
	}
	for _, a := range p.GetClipped() {
		lines = append(lines, l.say(warning.TextClipped, a.GetName(), corners(a)))
	}
	for _, u := range p.GetUnits() {
		hidden = hidden || u.GetFew()
		lines = append(lines, "  "+l.say(warning.TextPreviewUnit, u.GetName(), l.orHidden(u.GetPeople(), u.GetFew())))
	}
	for i, t := range p.GetTowns() {
		if i == townsShown {
			lines = append(lines, "  "+l.say(warning.TextPreviewMore, len(p.GetTowns())-i))
			break
		}
		hidden = hidden || t.GetFew()
		lines = append(lines, "  "+l.say(warning.TextPreviewTown, t.GetName(), l.orHidden(t.GetPeople(), t.GetFew())))
	}
	for _, w := range p.GetWays() {
		lines = append(lines, "  "+l.say(warning.TextPreviewWay, l.channel(w.GetChannel()), l.name("recipients", w.GetDuty()), l.orHidden(w.GetPeople(), w.GetFew()), l.orHidden(w.GetMessages(), w.GetFew())))
		hidden = hidden || w.GetFew()
	}
	for _, c := range p.GetCarriers() {
		takes := short(c.GetSeconds())
		if c.GetFew() {
			takes = "–"
		}
		line := "  " + l.say(warning.TextPreviewRoute, c.GetAccount(), l.orHidden(c.GetPeople(), c.GetFew()),
			l.orHidden(c.GetMessages(), c.GetFew()), count(int64(c.GetContractMessagesPerS())), takes)
		if c.GetAheadMessages() > 0 {
			line += "; " + l.say(warning.TextPreviewAhead, count(c.GetAheadMessages()), short(c.GetAheadSeconds()))
		}
		lines = append(lines, line)
	}
	if hidden {
		lines = append(lines, "  "+l.say(warning.TextWhyHidden))
	}
	for _, f := range p.GetFaster() {
		lines = append(lines, "  "+l.faster(f))
	}
	lines = append(lines, l.texts(p.GetTexts())...)
	return append(lines, l.say(warning.TextDigest, p.GetDigest()))
}

// townsShown is how many towns a preview lists, those with most people.
const townsShown = 10

// faster is a change, and what it would bring.
func (l Language) faster(f *pb.PreviewResponse_Faster) string {
	how := warning.Text(f.GetHow())
	var args []any
	switch how {
	case warning.TextFasterWords:
		args = []any{l.channel(f.GetChannel()), f.GetLanguage(), f.GetFrom(), f.GetTo()}
	case warning.TextFasterWithout, warning.TextFasterArea:
		args = []any{l.channel(f.GetChannel())}
	case warning.TextFasterConfigured, warning.TextFasterContract:
		args = []any{f.GetAccount(), f.GetFrom(), f.GetTo()}
	default:
		args = []any{f.GetAccount()}
	}
	change := l.say(how, args...)
	if f.GetSecondsToFinish() == 0 {
		return change
	}
	return l.say(warning.TextFaster, change, short(f.GetSecondsToFinish()))
}

// told is who is told by what and when, a line for each duty.
func (l Language) told(list []*pb.Told) (lines []string) {
	for _, t := range list {
		var steps []string
		for _, step := range t.GetSteps() {
			var names []string
			for _, ch := range step.GetChannels() {
				names = append(names, l.channel(ch))
			}
			text := strings.Join(names, ", ")
			if after := time.Duration(step.GetAfterS()) * time.Second; after > 0 {
				text = l.say(warning.TextToldStep, after.String(), text)
			}
			steps = append(steps, text)
		}
		if len(steps) == 0 {
			steps = append(steps, l.say(warning.TextToldNot))
		}
		lines = append(lines, "  "+l.say(warning.TextTold, l.name("recipients", t.GetDuty()), strings.Join(steps, "; ")))
	}
	return lines
}

// Waits is how long a warning has waited for approval.
func (l Language) Waits(seconds int64) string {
	return l.say(warning.TextWaits, (time.Duration(seconds) * time.Second).String())
}

// OnDuty is one line about a user who can be rung.
func (l Language) OnDuty(p *pb.OnDuty) string {
	duty, by, when := "off", "hours", "first"
	if p.GetOnDuty() {
		duty = "on"
	}
	if p.GetByHand() {
		by = "by_hand"
	}
	switch {
	case !p.GetApproves():
		when = "tells"
	case p.GetBackup() > 0:
		when = "backup"
	}
	return l.say(warning.TextOnDuty, p.GetUser(), l.name("duty", duty), l.name("duty", by), l.name("duty", when))
}

// corners is how many an area has.
func corners(a *pb.Area) (n int) {
	for _, part := range a.GetPolygons().GetParts() {
		for _, r := range part.GetRings() {
			n += len(r.GetPoints()) - 1
		}
	}
	return n
}

// texts is what people will read: the same text of several languages and channels once.
func (l Language) texts(list []*pb.PreviewResponse_Text) (lines []string) {
	var heads []string
	for i, t := range list {
		heads = append(heads, l.say(warning.TextPreviewWords, t.GetLanguage(), l.channel(t.GetChannel()), len(t.GetSegments()), t.GetCoding()))
		if i+1 < len(list) && strings.Join(t.GetSegments(), "") == strings.Join(list[i+1].GetSegments(), "") {
			continue
		}
		for _, h := range heads {
			lines = append(lines, "  "+h)
		}
		for _, s := range t.GetSegments() {
			lines = append(lines, "    "+s)
		}
		heads = heads[:0]
	}
	return lines
}

// Ask is the question before an approval.
func (l Language) Ask() string { return l.say(warning.TextAsk) }

// Progress is one line about a warning under way.
func (l Language) Progress(p *pb.WatchResponse) string {
	return strings.Join(l.ProgressLines(p), " · ")
}

// ProgressLines is the same in up to three lines that fit a narrow terminal.
func (l Language) ProgressLines(p *pb.WatchResponse) []string {
	spec := p.GetWarning().GetSpec()
	if !p.GetPlanned() {
		line := l.say(warning.TextPlanning, l.tier(spec.GetTier()), l.event(spec), l.state(p.GetWarning().GetState()))
		if waits := p.GetWarning().GetWaitsS(); waits > 0 {
			line += "; " + l.Waits(waits)
		}
		return []string{line}
	}
	if p.GetFew() {
		return []string{l.say(warning.TextPlanning, l.tier(spec.GetTier()), l.event(spec), l.say(warning.TextFew)), strings.Join(l.times(p), " · ")}
	}
	done, planned, waiting := Done(p)
	return []string{
		l.say(warning.TextProgress, l.tier(spec.GetTier()), l.event(spec), count(done), count(planned), count(waiting)),
		l.say(warning.TextRates, count(p.GetPeoplePerS()), count(p.GetMessagesPerS()), count(int64(p.GetContractMessagesPerS()))),
		strings.Join(l.times(p), " · "),
	}
}

func (l Language) times(p *pb.WatchResponse) []string {
	var first, last, finish *timestamppb.Timestamp
	for _, lane := range p.GetLanes() {
		if t := lane.GetFirstMessageAt(); t != nil && (first == nil || t.AsTime().Before(first.AsTime())) {
			first = t
		}
		if t := lane.GetLastMessageAt(); t != nil && (last == nil || t.AsTime().After(last.AsTime())) {
			last = t
		}
		if t := lane.GetFinishAt(); t != nil && (finish == nil || t.AsTime().After(finish.AsTime())) {
			finish = t
		}
	}
	var out []string
	for _, x := range []struct {
		text warning.Text
		at   *timestamppb.Timestamp
	}{{warning.TextFirst, first}, {warning.TextLast, last}, {warning.TextFinish, finish}} {
		if x.at != nil {
			out = append(out, l.say(x.text, clock(x.at, "15:04:05")))
		}
	}
	return append(out, l.state(p.GetWarning().GetState()))
}

// Done is how many people are settled or with the carrier, how many are planned, and how many wait.
func Done(p *pb.WatchResponse) (done, planned, waiting int64) {
	for _, lane := range p.GetLanes() {
		planned += lane.GetPlanned()
		waiting += lane.GetWaiting() + lane.GetSending()
	}
	return planned - waiting, planned, waiting
}

// Who is one person's messages.
func (l Language) Who(w *pb.WhoResponse) []string {
	lines := []string{l.say(warning.TextPerson, w.GetNumber(), w.GetDistrict())}
	if !w.GetKnown() { // any more: they may have had messages
		lines = []string{l.say(warning.TextNobody, w.GetNumber())}
	}
	for _, m := range w.GetMessages() {
		event := l.name("tier", m.GetTier()) + " " + m.GetEventName()
		if m.GetExcluded() == "not_kept" {
			lines = append(lines, l.say(warning.TextNoOutcome, m.GetWarningId(), event))
			continue
		}
		if m.GetExcluded() != "" {
			lines = append(lines, l.say(warning.TextNoLane, m.GetWarningId(), event, l.name("reason", m.GetExcluded())))
			continue
		}
		reason := ""
		if m.GetReason() != "" {
			reason = "(" + l.name("reason", m.GetReason()) + ")"
		}
		lines = append(lines, strings.TrimSpace(l.say(warning.TextInLane, m.GetWarningId(), event, l.channel(m.GetChannel()), m.GetAccount(),
			l.name("person", m.GetState()), clock(m.GetHandedOverAt(), "2006-01-02 15:04:05"), clock(m.GetReceiptAt(), "15:04:05"), reason)))
	}
	if w.GetSince() != nil {
		lines = append(lines, l.say(warning.TextSince, clock(w.GetSince(), "2006-01-02 15:04:05")))
	}
	return lines
}

// Account is one line about an account.
func (l Language) Account(a *pb.Account) string {
	up := 0
	for _, k := range a.GetLinks() {
		if k.GetUp() {
			up++
		}
	}
	line := l.say(warning.TextAccount, a.GetName(), a.GetProtocol(), l.name("health", a.GetHealth()), up, len(a.GetLinks()),
		count(int64(a.GetContractMessagesPerS())), 100*a.GetContractUsedLast_10S(), count(a.GetWaitingPeople()))
	if a.GetRouteShare() < 1 {
		line += l.say(warning.TextRoute, 100*a.GetRouteShare(), a.GetRouteWhy())
	}
	if t := a.GetTest(); t != nil {
		outcome := "reason." + t.GetReason()
		if t.GetReason() == "" {
			outcome = "person." + t.GetOutcome()
		}
		receipt := "–"
		if t.GetReceipt() != "" {
			receipt = l.name("receipt", t.GetReceipt())
		}
		line += l.say(warning.TextTested, clock(t.GetAt(), "15:04:05"), l.say(warning.Text(outcome)), t.GetAnswerMs(), receipt)
	}
	if a.GetRateSetByHand() {
		line += "; " + l.house("by_hand") + " (" + a.GetBy() + ", " + count(int64(a.GetConfiguredMessagesPerS())) + ")"
	}
	for _, more := range []string{a.GetWhy(), a.GetLastError(), l.cause(a.GetLastError())} {
		if more != "" {
			line += "; " + more
		}
	}
	return line
}

// shrunk is the part of a directory that goes when people leave; a file that brings less may be cut.
const shrunk = 0.9

// Imported is what became of an import into a directory that had so many people.
func (l Language) Imported(r *pb.ImportResponse, before int64) []string {
	lines := []string{l.say(warning.TextImported, count(r.GetPeople()), r.GetSnapshot())}
	if float64(r.GetPeople()) < shrunk*float64(before) {
		lines = append(lines, l.say(warning.TextShrunk, count(before)))
	}
	return append(lines, l.leftOut(r.GetBadRows(), r.GetBad())...)
}

// Changed is what became of changes of people.
func (l Language) Changed(r *pb.ChangeResponse) []string {
	lines := []string{l.say(warning.TextChanged, count(r.GetChanged()), count(r.GetPeople()), r.GetSnapshot())}
	return append(lines, l.leftOut(r.GetBadChanges(), r.GetBad())...)
}

func (l Language) leftOut(n int64, bad []*pb.ImportResponse_BadRow) (lines []string) {
	if n > 0 {
		lines = append(lines, l.say(warning.TextBadRows, count(n)))
	}
	for _, b := range bad {
		lines = append(lines, "  "+l.say(warning.TextBadRow, count(b.GetRow()), b.GetField(), b.GetDetail(), b.GetRule()))
	}
	return lines
}

// EditionImported is what became of outlines; checked: they were only looked at.
func (l Language) EditionImported(r *pb.ImportEditionResponse, checked bool) (lines []string) {
	for _, m := range r.GetRemarks() {
		lines = append(lines, l.say(warning.TextRemark, m.GetField(), m.GetText(), m.GetRule()))
	}
	e, says := r.GetEdition(), warning.TextEditionIn
	if checked {
		says = warning.TextEditionSound
	}
	return append(lines, l.edition(e), l.say(says, e.GetId()))
}

// Editions is the outlines that are in force.
func (l Language) Editions(r *pb.ListEditionsResponse) (lines []string) {
	for _, e := range r.GetEditions() {
		by := l.say(warning.TextEditionShipped)
		if e.GetImportedAt() != nil {
			by = l.say(warning.TextEditionBy, e.GetId(), clock(e.GetImportedAt(), "2006-01-02 15:04"), e.GetImportedBy())
		}
		lines = append(lines, l.edition(e), "  "+by)
		for _, u := range e.GetUnits() {
			lines = append(lines, "  "+u.GetCode()+" "+u.GetName()+" "+strconv.FormatFloat(u.GetKm2(), 'f', 2, 64)+" km²")
		}
	}
	return lines
}

func (l Language) edition(e *pb.Edition) string {
	source := e.GetSource()
	if source == "" {
		source = "–"
	}
	return l.say(warning.TextEdition, e.GetEdition(), count(e.GetDistricts()), count(e.GetTowns()), source)
}

// Moved is what came of positions.
func (l Language) Moved(m *pb.MoveResponse) string {
	return l.say(warning.TextMoved, count(m.GetPositions()), count(m.GetKnown()), count(m.GetEntered()))
}

// Stats is what the directory holds.
func (l Language) Stats(s *pb.StatsResponse) []string {
	lines := []string{
		l.say(warning.TextStats, count(s.GetPeople()), count(s.GetAddressable()), count(s.GetNoAddress()), count(s.GetOptedOut()), count(s.GetResponsible())),
		l.say(warning.TextSnapshot, s.GetSnapshot(), s.GetEdition(), clock(s.GetImportedAt(), "2006-01-02 15:04")),
	}
	for _, u := range s.GetUnits() {
		lines = append(lines, "  "+u.GetCode()+" "+l.say(warning.TextPreviewUnit, u.GetName(), count(u.GetPeople())))
	}
	return lines
}
