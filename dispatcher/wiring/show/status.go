package show

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// Paint colours a text by how well it is; a plain page leaves it as it is.
type Paint func(level pb.Level, text string) string

// mostRows is how many warnings that wait, and links that are down, stand on the page: one screen.
const mostRows = 4

// Status is the page of those on watch: first what is not well and what to do, then everything.
func (l Language) Status(s *pb.StatusResponse, paint Paint) []string {
	up := s.GetAt().AsTime().Sub(s.GetStartedAt().AsTime())
	lines := []string{
		paint(s.GetLevel(), " "+l.name("level", enum("LEVEL_", s.GetLevel().String()))+" ") + "  " +
			l.house("head", s.GetRealm(), s.GetNode(), clock(s.GetAt(), "2006-01-02 15:04:05"), age(up)),
		"",
	}
	for _, f := range s.GetFindings() {
		lines = append(lines, l.finding(f, paint)...)
	}
	if len(s.GetFindings()) > 0 {
		lines = append(lines, "")
	}
	heads := []struct {
		name string
		rows []string
	}{
		{"intake", l.intake(s, paint)}, {"dispatch", l.dispatch(s, paint)}, {"backlog", l.backlog(s)}, {"approvals", l.approvals(s)}, {"reviews", l.reviews(s)},
		{"redis", l.store(s.GetStore())}, {"disk", l.disk(s.GetDisk())}, {"clock", l.clocks(s.GetClock())},
		{"certificates", l.certificates(s)}, {"config", l.config(s.GetConfig())}, {"processes", l.processes(s)},
	}
	width := 0
	for _, h := range heads {
		width = max(width, runewidth.StringWidth(l.house(h.name)))
	}
	for _, h := range heads {
		for i, row := range h.rows {
			head := ""
			if i == 0 {
				head = l.house(h.name)
			}
			lines = append(lines, strings.TrimRight(pad(head, width+2)+row, " "))
		}
	}
	return lines
}

func (l Language) house(name string, args ...any) string {
	return l.say(warning.TextOf("house", name), args...)
}

func (l Language) finding(f *pb.Finding, paint Paint) []string {
	line := l.name("finding", f.GetKind())
	if f.GetSubject() != "" {
		line = f.GetSubject() + ": " + line
	}
	if f.GetDetail() != "" {
		line += ": " + f.GetDetail()
	}
	if f.GetPeople() > 0 {
		line += l.house("waiting", count(f.GetPeople()))
	}
	mark := "! "
	if f.GetLevel() == pb.Level_LEVEL_WRONG {
		mark = "✗ "
	}
	lines := strings.Split(line, "\n") // a configuration has a line for each fault
	lines[0] = paint(f.GetLevel(), mark+lines[0])
	if cause := l.cause(f.GetDetail()); cause != "" {
		lines = append(lines, "    → "+cause)
	}
	return append(lines, "    → "+strings.ReplaceAll(l.name("remedy", f.GetKind()), "{}", f.GetSubject()))
}

// bindStatus is a command_status as a link tells why its bind was refused (SMPP 3.4, clause 5.1.3).
var bindStatus = regexp.MustCompile(`ESME_[A-Z]+`)

// cause is what to do about a refusal that a link names, in plain words; empty where there are none.
func (l Language) cause(detail string) string {
	status := bindStatus.FindString(detail)
	if words := l.name("cause", status); status != "" && words != status {
		return words
	}
	return ""
}

func (l Language) intake(s *pb.StatusResponse, paint Paint) []string {
	if s.GetIntake() != "" {
		return []string{paint(pb.Level_LEVEL_WRONG, s.GetIntake())}
	}
	st := s.GetStore()
	took := time.Duration(st.GetWriteTookS() * float64(time.Second)).Round(10 * time.Microsecond)
	return []string{l.house("intake_ok", took, age(s.GetAt().AsTime().Sub(st.GetLastWriteAt().AsTime())))}
}

// levelOf is the worst that was found of an account or platform.
func levelOf(s *pb.StatusResponse, subject string) pb.Level {
	for _, f := range s.GetFindings() {
		if f.GetSubject() == subject {
			return f.GetLevel()
		}
	}
	return pb.Level_LEVEL_OK
}

func (l Language) dispatch(s *pb.StatusResponse, paint Paint) []string {
	rows := [][]string{strings.Split(l.house("accounts"), "|")}
	levels := []pb.Level{pb.Level_LEVEL_UNSPECIFIED}
	for _, a := range s.GetAccounts() {
		up, open := 0, int32(0)
		for _, k := range a.GetLinks() {
			open += k.GetOpen()
			if k.GetUp() {
				up++
			}
		}
		rate := count(int64(a.GetContractMessagesPerS()))
		if a.GetRateSetByHand() {
			rate += " " + l.house("by_hand") + " (" + a.GetBy() + ", " + count(int64(a.GetConfiguredMessagesPerS())) + ")"
		}
		rows = append(rows, []string{
			a.GetName(), a.GetOwner(), l.name("health", a.GetHealth()), fmt.Sprintf("%d/%d", up, len(a.GetLinks())),
			fmt.Sprintf("%d/%d", open, len(a.GetLinks())*int(a.GetWindow())), rate,
			bar(a.GetContractUsedLast_10S()), count(a.GetWaitingPeople()), clip(a.GetLastError(), 30),
		})
		levels = append(levels, levelOf(s, a.GetName()))
	}
	for _, p := range s.GetPlatforms() {
		health, up := "elsewhere", "–"
		switch {
		case p.GetOwner() == "":
			health = "unowned"
		case p.GetHeard() && p.GetUp():
			health, up = "ok", "1/1"
		case p.GetHeard():
			health, up = "down", "0/1"
		}
		rows = append(rows, []string{p.GetName(), p.GetOwner(), l.name("health", health), up, "–", "–", "–", "–", clip(p.GetLastError(), 30)})
		levels = append(levels, levelOf(s, p.GetName()))
	}
	lines := table(rows)
	for i := range lines {
		if levels[i] > pb.Level_LEVEL_OK {
			lines[i] = paint(levels[i], lines[i])
		}
	}
	return append(lines, l.linksDown(s)...)
}

// linksDown is the links that are down of accounts that others hold up.
func (l Language) linksDown(s *pb.StatusResponse) (lines []string) {
	for _, a := range s.GetAccounts() {
		for _, k := range a.GetLinks() {
			if !k.GetUp() && a.GetHealth() != "down" && len(lines) < mostRows {
				lines = append(lines, "  "+a.GetName()+" "+l.house("link", k.GetIndex(), clock(k.GetSince(), "15:04:05"), clip(k.GetLastError(), 60)))
			}
		}
	}
	return lines
}

func (l Language) backlog(s *pb.StatusResponse) (lines []string) {
	for _, b := range s.GetBacklog() {
		if b.GetFinishAt() == nil {
			lines = append(lines, l.house("tier_stuck", l.tier(b.GetTier()), count(b.GetPeople()), count(b.GetMessages())))
			continue
		}
		lines = append(lines, l.house("tier", l.tier(b.GetTier()), count(b.GetPeople()), count(b.GetMessages()), clock(b.GetFinishAt(), "15:04:05")))
	}
	return l.orNone(lines)
}

func (l Language) approvals(s *pb.StatusResponse) (lines []string) {
	for i, w := range s.GetAwaiting() {
		if i == mostRows {
			return append(lines, l.house("more", len(s.GetAwaiting())-i))
		}
		lines = append(lines, l.house("awaiting", w.GetId(), l.tier(w.GetTier()), w.GetEventName(), l.status(w.GetStatus()),
			age(s.GetAt().AsTime().Sub(w.GetSince().AsTime())), w.GetApprovalsMissing()))
	}
	return l.orNone(lines)
}

func (l Language) reviews(s *pb.StatusResponse) (lines []string) {
	for i, r := range s.GetReviews() {
		if i == mostRows {
			return append(lines, l.house("more", len(s.GetReviews())-i))
		}
		lines = append(lines, l.Review(r))
	}
	return l.orNone(lines)
}

func (l Language) orNone(lines []string) []string {
	if len(lines) == 0 {
		return []string{l.house("none")}
	}
	return lines
}

func (l Language) store(s *pb.StoreHealth) []string {
	if !s.GetUp() {
		return []string{s.GetError()}
	}
	own, memory := "", size(s.GetMemoryBytes())
	if s.GetOwn() {
		own = l.house("own")
	}
	if s.GetMaxMemoryBytes() > 0 {
		memory = l.house("of", memory, size(s.GetMaxMemoryBytes()))
	}
	line := l.house("store", s.GetVersion(), own, s.GetDurability(), size(s.GetAofBytes()), memory)
	if s.GetRewriting() {
		line += l.house("rewriting")
	}
	return []string{line}
}

func (l Language) disk(d *pb.DiskHealth) []string {
	if d.GetNeededBytes() == 0 {
		return []string{l.house("room_others", size(d.GetFreeBytes()))}
	}
	return []string{l.house("room", size(d.GetFreeBytes()), size(d.GetNeededBytes()))}
}

func (l Language) clocks(c *pb.ClockHealth) []string {
	line := l.house("clocks", time.Duration(c.GetStoreAheadS()*float64(time.Second)).Abs().Round(100*time.Microsecond))
	if c.GetStepS() == 0 {
		return []string{line + l.house("no_step")}
	}
	return []string{line + l.house("step", clock(c.GetSteppedAt(), "15:04:05"), short(c.GetStepS()))}
}

func (l Language) certificates(s *pb.StatusResponse) []string {
	var all []string
	for _, c := range s.GetCertificates() {
		if c.GetError() != "" {
			all = append(all, c.GetFile()+": "+c.GetError())
			continue
		}
		all = append(all, l.house("days", c.GetFile(), c.GetDaysLeft()))
	}
	return []string{strings.Join(all, " · ")}
}

func (l Language) config(c *pb.ConfigHealth) []string {
	return []string{l.house("loaded", c.GetFile(), clock(c.GetLoadedAt(), "2006-01-02 15:04:05"), clip(c.GetPolicy(), 12))}
}

func (l Language) processes(s *pb.StatusResponse) []string {
	var all []string
	for _, n := range s.GetNodes() {
		owns := strings.Join(n.GetOwns(), l.say(warning.TextListJoin))
		if owns == "" {
			owns = l.house("owns_none")
		}
		all = append(all, l.house("owns", n.GetNode(), owns))
	}
	return l.orNone(all[:min(len(all), 2*mostRows)])
}

// Reload is what a changed configuration comes to.
func (l Language) Reload(r *pb.ReloadResponse) []string {
	var rows [][]string
	for _, c := range r.GetChanges() {
		rows = append(rows, []string{c.GetKey(), orDash(c.GetBefore()) + " → " + orDash(c.GetAfter()), l.name("takes", c.GetTakes())})
	}
	lines := table(rows)
	for _, a := range r.GetLeaving() {
		lines = append(lines, l.say(warning.TextLeaving, a.GetAccount(), a.GetPeople()))
	}
	for _, account := range r.GetByHand() {
		lines = append(lines, l.say(warning.TextByHand, account, account))
	}
	switch {
	case len(rows) == 0:
		return []string{l.say(warning.TextUnchanged)}
	case r.GetApplied():
		return append(lines, l.say(warning.TextApplied, r.GetNode(), r.GetBefore(), r.GetAfter()))
	}
	return append(lines, l.say(warning.TextNotApplied))
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// table lays out rows in columns, the width of Chinese characters counted.
func table(rows [][]string) []string {
	var width []int
	for _, r := range rows {
		for j, c := range r {
			if j == len(width) {
				width = append(width, 0)
			}
			width[j] = max(width[j], runewidth.StringWidth(c))
		}
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		for j, c := range r {
			lines[i] += pad(c, width[j]+2)
		}
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

func pad(s string, width int) string { return runewidth.FillRight(s, width) }

// clip cuts a text to a width and says so.
func clip(s string, width int) string {
	return runewidth.Truncate(strings.Join(strings.Fields(s), " "), width, "…")
}

// bar is a share as a bar of eight and in per cent.
func bar(share float64) string {
	const width = 8
	full := int(min(max(share, 0), 1)*width + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full) + fmt.Sprintf(" %5.1f%%", 100*share)
}

// age is a duration with its two largest units.
func age(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// size is a number of bytes in the unit that suits it.
func size(n int64) string {
	const unit = 1024
	v, names := float64(n), []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for ; v >= unit && i < len(names)-1; i++ {
		v /= unit
	}
	if v >= 10 || i == 0 {
		return fmt.Sprintf("%.0f %s", v, names[i])
	}
	return fmt.Sprintf("%.1f %s", v, names[i])
}
