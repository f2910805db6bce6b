package dispatcher

import (
	"slices"

	"tocsin/warning"
)

// This file is promise 10 for counts: where fewer than Few people are meant, nobody but a commander sees how many. A count
// of a place says where people are; counts of what became of a crowd of Few or more do not, and are shown.

// Few is the head count below which counts are veiled for all but commanders.
const Few = 20

func (c Caller) seesAll() bool { return c.Role == warning.Commander }

// veiled tells which parts of a total are not shown: those of fewer than Few people, and as many of the next smallest as
// keep a reader from computing them out of the total and the others.
func veiled(parts []int64) []bool {
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(1, max(-1, parts[a]-parts[b]))) })
	out := make([]bool, len(parts))
	hidden, people := 0, int64(0)
	for _, i := range order {
		if parts[i] >= Few && (hidden == 0 || hidden > 1 && people >= Few) {
			break
		}
		out[i] = true
		hidden, people = hidden+1, people+parts[i]
	}
	return out
}

func veiledOf[T any](rows []T, people func(*T) int64) []bool {
	parts := make([]int64, len(rows))
	for i := range rows {
		parts[i] = people(&rows[i])
	}
	return veiled(parts)
}

// For is the preview as this caller may see it.
func (p Preview) For(c Caller) Preview {
	if c.seesAll() {
		return p
	}
	p.Units, p.Towns, p.Channels, p.Carriers = slices.Clone(p.Units), slices.Clone(p.Towns), slices.Clone(p.Channels), slices.Clone(p.Carriers)
	p.Few = p.People < Few
	byDistrict := map[string][]*PreviewUnit{}
	for i := range p.Towns {
		if t := &p.Towns[i]; len(t.Code) > 6 {
			byDistrict[t.Code[:6]] = append(byDistrict[t.Code[:6]], t)
		}
	}
	for i, hide := range veiledOf(p.Units, func(u *PreviewUnit) int64 { return u.People }) {
		u := &p.Units[i]
		hide = hide || p.Few
		veilTowns(u.People, hide, byDistrict[u.Code])
		if hide {
			u.People, u.Residents, u.Few = 0, 0, true
		}
	}
	p.Residents = residentsOf(p.Units)
	for _, ch := range channelsIn(p.Channels) {
		var rows []*PreviewChannel
		for i := range p.Channels {
			if r := &p.Channels[i]; r.Channel == ch {
				rows = append(rows, r)
			}
		}
		for i, hide := range veiledOf(rows, func(r **PreviewChannel) int64 { return (*r).People }) {
			if hide || p.Few {
				rows[i].People, rows[i].Messages, rows[i].Few = 0, 0, true
			}
		}
	}
	for i, hide := range veiledOf(p.Carriers, func(r *PreviewCarrier) int64 { return r.People }) {
		if r := &p.Carriers[i]; hide || p.Few {
			if r.Takes+r.Waits == p.Finish { // it would tell the messages
				p.Finish, p.Faster = 0, nil
			}
			r.People, r.Messages, r.Takes, r.Few = 0, 0, 0, true
		}
	}
	if p.Few {
		p.People, p.Addressable, p.LeftOut, p.Residents, p.Finish, p.Faster = 0, 0, LeftOut{}, 0, 0, nil
	}
	return p
}

// veilTowns hides towns of a district that is hidden itself, or as parts of it: those of its people whose home is no town
// are one too.
func veilTowns(district int64, hidden bool, towns []*PreviewUnit) {
	var parts []int64
	for _, t := range towns {
		parts = append(parts, t.People)
		district -= t.People
	}
	if district > 0 {
		parts = append(parts, district)
	}
	hide := veiled(parts)
	for i, t := range towns {
		if hidden || hide[i] {
			t.People, t.Few = 0, true
		}
	}
}

func channelsIn(rows []PreviewChannel) (chs []warning.Channel) {
	for _, r := range rows {
		chs = append(chs, r.Channel)
	}
	slices.Sort(chs)
	return slices.Compact(chs)
}

// crowdOf is how many people a warning is about.
func crowdOf(inArea int64, lanes []LaneCounts) int64 {
	for _, l := range lanes {
		inArea = max(inArea, l.Planned) // of a correction only who is in its lanes is known
	}
	return inArea
}

// bare is lanes without what counts people.
func bare(lanes []LaneCounts) []LaneCounts {
	out := make([]LaneCounts, len(lanes))
	for i, l := range lanes {
		out[i] = LaneCounts{Channel: l.Channel, Balanced: l.Balanced, Segments: l.Segments, First: l.First, Last: l.Last, Finish: l.Finish}
	}
	return out
}

// For is the progress as this caller may see it.
func (p Progress) For(c Caller) Progress {
	if c.seesAll() || !p.Planned || crowdOf(p.InArea, p.Lanes) >= Few {
		return p
	}
	p.Few, p.Lanes, p.InArea, p.People, p.Messages = true, bare(p.Lanes), 0, 0, 0
	return p
}

// For is the report as this caller may see it.
func (r Report) For(c Caller) Report {
	if c.seesAll() || !r.Planned {
		return r
	}
	if crowdOf(r.InArea+r.Entered, r.Lanes) < Few {
		return Report{
			Few: true, Planned: true, Warning: r.Warning, Lanes: bare(r.Lanes), Finished: r.Finished, ToFirst: r.ToFirst, ToLast: r.ToLast,
			Durability: r.Durability, Unmatched: r.Unmatched, Late: r.Late, Seal: r.Seal, Plays: r.Plays,
		}
	}
	r.ByDistrict, r.ByCarrier = veiledRows(r.ByDistrict), veiledRows(r.ByCarrier)
	return r
}

func veiledRows(rows []ReportRow) []ReportRow {
	rows = slices.Clone(rows)
	for i, hide := range veiledOf(rows, func(r *ReportRow) int64 { return r.Planned }) {
		if hide {
			rows[i] = ReportRow{Key: rows[i].Key, Name: rows[i].Name, Few: true}
		}
	}
	return rows
}

// headCount is what the policy says of the count that somebody typed in. Who must not see a count of fewer than Few people is
// asked for Few where there are fewer, and reads of no other number (promise 10).
func (e *Engine) headCount(c Caller, w *warning.Warning, look *Preview, typed int64) (grown bool, err error) {
	shown, people := *w, look.People
	if !c.seesAll() && w.ApprovedPeople > 0 {
		shown.ApprovedPeople = max(w.ApprovedPeople, Few)
	}
	if !c.seesAll() {
		people = max(people, Few)
	}
	return e.policy().HeadCount(&shown, look.Share, people, typed)
}

// HeadCount is the approved head count of a warning as this caller may see it.
func (c Caller) HeadCount(w *warning.Warning) (people int64, few bool) {
	if !c.seesAll() && w.ApprovedPeople < Few {
		return 0, true
	}
	return w.ApprovedPeople, false
}
