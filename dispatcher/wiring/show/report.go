package show

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Report answers the mayor in its first five lines, in people; then by channel, district, carrier and minute.
func (l Language) Report(r *pb.ReportResponse) []string {
	lines := l.Brief(r)
	if len(r.GetLanes()) == 0 {
		return lines
	}
	for _, part := range []struct {
		title warning.Text
		rows  []*pb.ReportResponse_Row
	}{{warning.TextByDistrict, r.GetByDistrict()}, {warning.TextByCarrier, r.GetByCarrier()}, {warning.TextByMinute, r.GetByMinute()}} {
		lines = append(lines, "")
		lines = append(lines, l.table(l.say(part.title), part.rows)...)
	}
	lines = append(lines, "")
	for _, a := range r.GetAccounts() {
		lines = append(lines, l.say(warning.TextContract, a.GetAccount(), count(a.GetMessages()), count(a.GetMaxMessagesInAnySecond()),
			count(int64(a.GetContractMessagesPerS())), 100*a.GetContractUsed()))
	}
	if !r.GetFew() { // it counts people too
		lines = append(lines, l.say(warning.TextSpeed, count(int64(r.GetPeoplePerS())), count(int64(r.GetMessagesPerS())), r.GetTimeToFirstMs(), r.GetTimeToLastS()))
	}
	return append(lines, l.say(warning.TextKept, r.GetDurability()))
}

// Brief is what became of everybody, by which channel, and who is in no list and why.
func (l Language) Brief(r *pb.ReportResponse) []string {
	spec := r.GetWarning().GetSpec()
	title := r.GetWarning().GetId() + "  " + l.say(warning.TextTitle, l.event(spec), l.tier(spec.GetTier()), l.status(spec.GetStatus()), l.state(r.GetWarning().GetState()))
	if !r.GetPlanned() {
		return []string{l.say(warning.TextNotReleased), title}
	}
	lines := append(l.mayor(r), "", title, "")
	rows := make([]*pb.ReportResponse_Row, 0, len(r.GetLanes()))
	var rerouted, moved, asked, recalled int64
	for _, c := range r.GetLanes() {
		rerouted, asked, recalled = rerouted+c.GetRerouted(), asked+c.GetRecallAsked(), recalled+c.GetRecalled()
		moved += c.GetMoved()
		waiting := c.GetWaiting() + c.GetSending()
		rows = append(rows, &pb.ReportResponse_Row{
			Name: l.channel(c.GetChannel()), Planned: c.GetPlanned(), Delivered: c.GetDelivered(), HandedOver: c.GetHandedOver(), Waiting: waiting,
			NotReached: c.GetPlanned() - c.GetDelivered() - c.GetHandedOver() - waiting, Few: r.GetFew(),
		})
	}
	lines = append(lines, l.table(l.say(warning.TextByChannel), rows)...)
	for _, p := range r.GetPlays() {
		lines = append(lines, "  "+l.play(p))
	}
	if moved > 0 {
		lines = append(lines, l.say(warning.TextFellBack, count(moved)))
	}
	if rerouted > 0 {
		lines = append(lines, l.say(warning.TextRerouted, count(rerouted)))
	}
	if asked > 0 {
		lines = append(lines, l.say(warning.TextRecalled, count(asked), count(recalled)))
	}
	return append(lines, l.nothing(r)...)
}

// nothing is who gets no message of their own, and why; nothing where there is nobody.
func (l Language) nothing(r interface {
	GetNoAddress() int64
	GetOptedOut() int64
	GetNoRoute() int64
	GetUntold() int64
}) []string {
	var all int64
	var why []string
	for _, part := range []struct {
		reason string
		people int64
	}{{"no_address", r.GetNoAddress()}, {"opted_out", r.GetOptedOut()}, {"no_route", r.GetNoRoute()}, {"untold", r.GetUntold()}} {
		if part.people > 0 {
			all += part.people
			why = append(why, l.say(warning.TextWhy, l.name("reason", part.reason), count(part.people)))
		}
	}
	if all == 0 {
		return nil
	}
	return []string{l.say(warning.TextLeftOut, count(all), strings.Join(why, l.say(warning.TextListJoin)))}
}

// play is one platform of an area channel: messages and what the platform reports, never people.
func (l Language) play(p *pb.Play) string {
	channel := l.name("channel", strings.ToLower(strings.TrimPrefix(p.GetChannel().String(), "CHANNEL_")))
	line := l.say(warning.TextPlay, channel, p.GetPlatform(), l.name("play", p.GetState()), count(p.GetMessages()))
	if p.GetCoverage() != "" && p.GetCoverageRate() >= 0 {
		line += l.say(warning.TextCoverage, 100*p.GetCoverageRate(), count(p.GetEndsReached()))
	}
	return line
}

func (l Language) mayor(r *pb.ReportResponse) []string {
	if r.GetFew() {
		return []string{l.say(warning.TextInArea, l.say(warning.TextFew), l.say(warning.TextFew))}
	}
	notReached := l.say(warning.TextNotReached, count(r.GetNotReached()))
	if len(r.GetWhyNot()) > 0 {
		var why []string
		for _, w := range r.GetWhyNot() {
			why = append(why, l.say(warning.TextWhy, l.name("reason", w.GetReason()), count(w.GetPeople())))
		}
		notReached = l.say(warning.TextNotReachedBy, count(r.GetNotReached()), strings.Join(why, l.say(warning.TextListJoin)))
	}
	waiting := l.say(warning.TextWaiting, count(r.GetWaiting()))
	if r.GetFinishedAt() != nil {
		waiting = l.say(warning.TextFinished, count(r.GetWaiting()), clock(r.GetFinishedAt(), "15:04"))
	}
	area := l.say(warning.TextInArea, count(r.GetInArea()), count(r.GetAddressable()))
	if n := r.GetEntered(); n > 0 {
		area += l.say(warning.TextListJoin) + l.say(warning.TextEntered, count(n))
	}
	return []string{
		area,
		l.say(warning.TextDelivered, count(r.GetDelivered())),
		l.say(warning.TextHandedOver, count(r.GetHandedOver())),
		notReached, waiting,
	}
}

// table is rows under a title; numbers are right-aligned, and the name comes last because Chinese characters are wide.
func (l Language) table(title string, rows []*pb.ReportResponse_Row) []string {
	heads := strings.Split(l.say(warning.TextHead), "|")
	lines := []string{title + " (" + strings.Join(heads, " · ") + ")"}
	cells := make([][]string, len(rows))
	width, hidden := make([]int, len(heads)), false
	for i, r := range rows {
		if r.GetFew() {
			cells[i], hidden = []string{l.say(warning.TextHidden)}, true
			continue
		}
		for j, n := range []int64{r.GetPlanned(), r.GetDelivered(), r.GetHandedOver(), r.GetNotReached(), r.GetWaiting()} {
			cells[i] = append(cells[i], count(n))
			width[j] = max(width[j], len(cells[i][j]))
		}
	}
	for i, r := range rows {
		var b strings.Builder
		for j, c := range cells[i] {
			b.WriteString(strings.Repeat(" ", max(2, 2+width[j]-len(c))))
			b.WriteString(c)
		}
		b.WriteString("  " + strings.TrimSpace(r.GetKey()+" "+r.GetName()))
		lines = append(lines, b.String())
	}
	if hidden {
		lines = append(lines, "  "+l.say(warning.TextWhyHidden))
	}
	return lines
}

// ReportCSV writes the report as rows of people: part, key, name, planned, delivered, handed over, not reached, waiting. Counts
// that the caller may not see are empty.
func ReportCSV(w io.Writer, r *pb.ReportResponse) error {
	out := csv.NewWriter(w)
	write := func(part, key, name string, few bool, counts ...int64) {
		row := []string{part, key, name}
		for _, n := range counts {
			if few {
				row = append(row, "")
				continue
			}
			row = append(row, strconv.FormatInt(n, 10))
		}
		_ = out.Write(row) // Flush keeps the error
	}
	_ = out.Write([]string{"part", "key", "name", "planned", "delivered", "handed_over", "not_reached", "waiting"})
	var planned int64
	for _, lane := range r.GetLanes() {
		planned += lane.GetPlanned()
	}
	write("total", r.GetWarning().GetId(), r.GetWarning().GetSpec().GetEventName(), r.GetFew(), planned, r.GetDelivered(), r.GetHandedOver(), r.GetNotReached(), r.GetWaiting())
	for _, part := range []struct {
		name string
		rows []*pb.ReportResponse_Row
	}{{"district", r.GetByDistrict()}, {"carrier", r.GetByCarrier()}, {"minute", r.GetByMinute()}} {
		for _, x := range part.rows {
			write(part.name, x.GetKey(), x.GetName(), x.GetFew(), x.GetPlanned(), x.GetDelivered(), x.GetHandedOver(), x.GetNotReached(), x.GetWaiting())
		}
	}
	out.Flush()
	return out.Error()
}
