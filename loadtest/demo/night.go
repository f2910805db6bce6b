package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mattn/go-isatty"

	"tocsin/loadtest/rig"
	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// The night that shows it all, as the people of a house live it: every act is a command that anybody can type. An orange
// for twelve districts is under way; a red for six townships overtakes it; an orange for a wrong district is held,
// cancelled and corrected; the commander rings the loudspeakers again. Then the report, and the verdict.
type night struct {
	r   *rig.Rig
	o   Options
	out *os.File
	// full is how long the orange takes alone, at the contract.
	full                           time.Duration
	orange, red, wrong, correction *pb.Warning
	rung                           int // repeats that the commander asked for
}

// Contract of the night, messages/s: that of the model city, and for few people in proportion, so that there is a
// backlog to overtake.
const (
	cityContract = 4500
	cityPeople   = 200_000 // from so many people on
	twelveShare  = 0.234   // of all people live in the twelve districts
	receiptsEnd  = 5 * time.Second
)

// NightContract is the messages/s of the night for so many people.
func NightContract(people int) int {
	return max(90, min(cityContract, cityContract*people/cityPeople))
}

// Once lives the night in a new house and answers what became of it; what it shows on the way goes to out.
func Once(ctx context.Context, o Options, out *os.File) (*Result, error) {
	n, err := begin(ctx, o, out)
	if err != nil {
		return nil, err
	}
	defer n.r.Down()
	began := time.Now()
	if err := n.acts(ctx); err != nil {
		return nil, err
	}
	args, err := n.judge(ctx)
	if err != nil {
		return nil, err
	}
	var v verify.Verdict
	if err := n.r.Answer(ctx, &v, args...); err != nil {
		return nil, err
	}
	res, err := n.result(ctx, v)
	if err != nil {
		return nil, err
	}
	res.finish(began)
	return res, nil
}

// Stay lives the night and stays up until ctx ends.
func Stay(ctx context.Context, o Options, out *os.File, once bool) error {
	n, err := begin(ctx, o, out)
	if err != nil {
		return err
	}
	defer n.r.Down()
	if err := n.acts(ctx); err != nil {
		return err
	}
	if err := n.reports(ctx); err != nil {
		return err
	}
	if err := n.verdict(ctx); err != nil || once {
		return errors.Join(err, ctx.Err())
	}
	return n.stay(ctx)
}

// begin sets the house up.
func begin(ctx context.Context, o Options, out *os.File) (*night, error) {
	r, err := rig.New(o.Rig)
	if err != nil {
		return nil, err
	}
	n := &night{r: r, o: o, out: out}
	contract := 0
	for _, a := range o.Rig.Accounts {
		contract += a.Contract
	}
	n.full = time.Duration(float64(o.Rig.People) * twelveShare * 2 / float64(contract) * float64(time.Second))
	if err := r.Up(ctx); err != nil {
		r.Down()
		return nil, err
	}
	if err := r.Login(ctx); err != nil {
		r.Down()
		return nil, err
	}
	o.Say("everything is up: an engine with its own Redis, three carriers, loudspeakers and an app, all simulated; %d people", o.Rig.People)
	return n, nil
}

// acts is the night.
func (n *night) acts(ctx context.Context) (err error) {
	n.title("1  An orange warning for twelve districts leaves at %d messages a second", n.contract())
	spec := rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南等十二区县", "twelve districts of the southeast")
	if n.orange, err = n.submit(ctx, spec, "sms,push", areas(rig.Twelve...)...); err != nil {
		return err
	}
	if err := n.watch(ctx, n.full/6); err != nil {
		return err
	}

	n.title("2  A red for six townships overtakes it: flash message, SMS, loudspeakers and app")
	valley, err := n.r.Write("valley.geojson", rig.Valley())
	if err != nil {
		return err
	}
	if n.red, err = n.submit(ctx, flood(), "", "--geojson", valley); err != nil {
		return err
	}
	if err := n.watch(ctx, n.full/8); err != nil {
		return err
	}

	n.title("3  An orange for a thirteenth district was a mistake: held, cancelled, corrected")
	spec = rig.Rainstorm(pb.Tier_TIER_ORANGE, "万州区", "Wanzhou")
	if n.wrong, err = n.submit(ctx, spec, "sms,push", areas(wrongDistrict)...); err != nil {
		return err
	}
	if err := n.watch(ctx, n.full/30); err != nil {
		return err
	}
	if err := n.act(ctx, rig.Commander, "hold", n.wrong.GetId(), "--why", "Wanzhou was not meant"); err != nil {
		return err
	}
	if err := n.act(ctx, rig.Commander, "cancel", n.wrong.GetId(), "--why", "wrong district"); err != nil {
		return err
	}
	if n.correction, err = n.approve(ctx); err != nil {
		return err
	}
	if err := n.watch(ctx, n.full/8); err != nil {
		return err
	}

	n.title("4  The commander rings the loudspeakers of the red again")
	n.rung = 2
	err = n.act(ctx, rig.Commander, "broadcast", n.red.GetId(), "--channels", "broadcast", "--times", fmt.Sprint(n.rung), "--repeat", "2s")
	if err != nil {
		return err
	}
	n.title("5  Everything runs to its end")
	return n.end(ctx)
}

// wrongDistrict is none of the twelve.
const wrongDistrict = "500101"

func areas(codes ...string) (args []string) {
	for _, c := range codes {
		args = append(args, "--area", c)
	}
	return args
}

// flood is a red of the hour: where it holds is drawn on the map.
func flood() *pb.WarningSpec {
	at := time.Now().Format("2006年01月02日15时04分")
	return rig.WithText(&pb.WarningSpec{Event: "11A51", Tier: pb.Tier_TIER_RED, Issuers: []string{"黔江区气象台"}},
		"【演练】黔江区气象台"+at+"发布山洪红色预警：阿蓬江沿岸六个乡镇可能暴发山洪，请立即向高处转移！")
}

// submit has the forecaster submit and the approver approve; without channels the table of the policy says who is told by
// which ones.
func (n *night) submit(ctx context.Context, spec *pb.WarningSpec, channels string, where ...string) (*pb.Warning, error) {
	tiers := map[pb.Tier]string{pb.Tier_TIER_RED: "red", pb.Tier_TIER_ORANGE: "orange"}
	args := []string{
		"submit", "--tier", tiers[spec.GetTier()], "--event", spec.GetEvent(), "--status", "exercise", "--for", "12h",
		"--issuer", spec.GetIssuers()[0],
	}
	if channels != "" {
		args = append(args, "--channels", channels)
	}
	for _, w := range spec.GetWords() {
		flag := map[string]string{"zh-CN": "--text", "en": "--text-en"}[w.GetLanguage()]
		args = append(args, flag, w.GetText())
	}
	if err := n.act(ctx, rig.Forecaster, append(args, where...)...); err != nil {
		return nil, err
	}
	return n.approve(ctx)
}

// approve agrees to what was recorded last.
func (n *night) approve(ctx context.Context) (*pb.Warning, error) {
	w, err := n.r.Newest(ctx)
	if err != nil {
		return nil, err
	}
	return w, n.act(ctx, rig.Approver, "approve", w.GetId(), "--digest", w.GetDigest())
}

func (n *night) act(ctx context.Context, user string, args ...string) error {
	return n.r.Show(ctx, n.out, user, args...)
}

// watch shows all warnings for a while.
func (n *night) watch(ctx context.Context, d time.Duration) error {
	enough, cancel := context.WithTimeout(ctx, max(time.Second, d))
	defer cancel()
	return n.r.ShowUntil(ctx, enough.Done(), n.out, rig.Commander, "watch")
}

// end watches until nobody waits and the receipts have come.
func (n *night) end(ctx context.Context) error {
	enough, cancel := context.WithCancel(ctx)
	settled := make(chan error, 1)
	go func() {
		defer cancel()
		for _, w := range []*pb.Warning{n.red, n.correction, n.orange} {
			if _, err := n.r.Settled(ctx, w.GetId(), receiptsEnd); err != nil {
				settled <- err
				return
			}
		}
		settled <- n.r.Played(ctx, n.red.GetId(), n.rung+1)
	}()
	err := n.r.ShowUntil(ctx, enough.Done(), n.out, rig.Commander, "watch")
	cancel()
	return errors.Join(err, <-settled)
}

func (n *night) warnings() []*pb.Warning {
	return []*pb.Warning{n.orange, n.red, n.wrong, n.correction}
}

// reports answers the mayor: who got what on which channel, who did not, and why.
func (n *night) reports(ctx context.Context) error {
	n.title("6  What became of everybody")
	for _, w := range n.warnings() {
		if err := n.act(ctx, rig.Commander, "report", w.GetId(), "--brief"); err != nil {
			return err
		}
	}
	return nil
}

// judge is the command line of the verdict over everything.
func (n *night) judge(ctx context.Context) ([]string, error) {
	ids := make([]string, 0, 4)
	for _, w := range n.warnings() {
		ids = append(ids, w.GetId())
	}
	file, err := n.r.WriteWarnings(ctx, ids...)
	if err != nil {
		return nil, err
	}
	args := []string{"verify", "--directory", n.r.People(), "--warning", file}
	for _, a := range n.o.Rig.Accounts {
		args = append(args, "--log", fmt.Sprintf("%s=%s@%d", a.Name, n.r.Log(a.Name), a.Contract))
	}
	for _, a := range n.o.Rig.Areas {
		args = append(args, "--"+a.Channel+"-log", a.Name+"="+n.r.Log(a.Name))
	}
	args = append(args, "--again", fmt.Sprintf("%s/broadcast=%d", n.red.GetId(), n.rung))
	if n.o.Picture != "" {
		args = append(args, "--picture", n.o.Picture)
	}
	return args, nil
}

// verdict shows it.
func (n *night) verdict(ctx context.Context) error {
	n.title("7  The verdict, from the logs of carriers, loudspeakers and app alone")
	args, err := n.judge(ctx)
	if err != nil {
		return err
	}
	return n.act(ctx, rig.Commander, args...)
}

// result compares what the engine says with the verdict.
func (n *night) result(ctx context.Context, v verify.Verdict) (*Result, error) {
	var reports []told
	for _, w := range n.warnings() {
		rep, err := n.r.Report(ctx, w.GetId())
		if err != nil {
			return nil, err
		}
		reports = append(reports, told{rep, rep.GetWarning().GetReleasedAt().AsTime()})
	}
	res := judge(n.o.Rig, v, reports...)
	res.contractKept()
	for _, w := range v.Warnings {
		if slices.Contains(w.Warnings, n.red.GetId()) {
			res.RedFirstMS = w.TimeToFirstMS
		}
	}
	res.Engine = &Process{}
	var err error
	res.Engine.PeakResidentMB, res.Engine.CPUSeconds, err = n.r.PeakResident()
	return res, err
}

// stay waits for the end and says what to try meanwhile.
func (n *night) stay(ctx context.Context) error {
	number, err := n.r.Someone()
	if err != nil {
		return err
	}
	fmt.Fprintf(n.out, "\nThe house stays up until Ctrl-C. Three commands to try in another terminal:\n\n")
	for _, c := range []struct{ user, command string }{
		{rig.Commander, "who " + number + " --why 'a question from the mayor'"},
		{rig.Commander, "report " + n.red.GetId() + " --lang zh-CN"},
		{rig.Engineer, "channel list"},
	} {
		fmt.Fprintf(n.out, "  TOCSIN_PROFILE=%s %s %s\n", n.r.Profile(c.user), n.o.Rig.Binary, c.command)
	}
	fmt.Fprintln(n.out)
	<-ctx.Done()
	fmt.Fprintln(n.out, "\nending: the engine first, then its Redis and the carriers")
	return nil
}

func (n *night) contract() (sum int) {
	for _, a := range n.o.Rig.Accounts {
		sum += a.Contract
	}
	return sum
}

// title begins an act.
func (n *night) title(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if isatty.IsTerminal(n.out.Fd()) {
		line = "\x1b[1;7m " + line + " \x1b[0m" // bold and reverse, ECMA-48
	}
	fmt.Fprintf(n.out, "\n%s\n", line)
}
