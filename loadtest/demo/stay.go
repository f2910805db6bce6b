package demo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tocsin/loadtest/rig"
	pb "tocsin/proto/tocsin/v1"
)

// Stay shows one warning as the people of the house live it: every step is a command that anybody can type. It stays up
// until ctx ends.
func Stay(ctx context.Context, o Options, out *os.File, once bool) error {
	r, err := rig.New(o.Rig)
	if err != nil {
		return err
	}
	defer r.Down()
	if err := r.Up(ctx); err != nil {
		return err
	}
	if err := r.Login(ctx); err != nil {
		return err
	}
	o.Say("everything is up: an engine with its own Redis, three simulated carriers, %d people", o.Rig.People)
	id, err := tell(ctx, r, out)
	if err != nil {
		return err
	}
	if err := judged(ctx, r, o, out, id); err != nil {
		return err
	}
	if once {
		return nil
	}
	number, err := r.Someone()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe house stays up until Ctrl-C. Three commands to try in another terminal:\n\n")
	for _, c := range []struct{ user, command string }{
		{rig.Commander, "who " + number + " --why 'a question from the mayor'"},
		{rig.Commander, "report " + id + " --lang zh-CN"},
		{rig.Engineer, "channel list"},
	} {
		fmt.Fprintf(out, "  TOCSIN_PROFILE=%s %s %s\n", r.Profile(c.user), o.Rig.Binary, c.command)
	}
	fmt.Fprintln(out)
	<-ctx.Done()
	fmt.Fprintln(out, "\nending: the engine first, then its Redis and the carriers")
	return nil
}

// tell takes the warning from the forecaster to everybody's phones.
func tell(ctx context.Context, r *rig.Rig, out *os.File) (id string, err error) {
	spec := rig.Rainstorm(pb.Tier_TIER_ORANGE, "渝东南等十二区县", "twelve districts of the southeast")
	args := []string{"submit", "--tier", "orange", "--event", spec.GetEvent(), "--status", "exercise", "--for", "12h",
		"--issuer", spec.GetIssuers()[0], "--text", spec.GetWords()[0].GetText(), "--text-en", spec.GetWords()[1].GetText()}
	for _, code := range rig.Twelve {
		args = append(args, "--area", code)
	}
	if err := r.Show(ctx, out, rig.Forecaster, args...); err != nil {
		return "", err
	}
	w, err := r.Newest(ctx)
	if err != nil {
		return "", err
	}
	if err := r.Show(ctx, out, rig.Approver, "approve", w.GetId(), "--digest", w.GetDigest()); err != nil {
		return "", err
	}
	if err := r.Show(ctx, out, rig.Commander, "watch", w.GetId()); err != nil {
		return "", err
	}
	if _, err := r.Settled(ctx, w.GetId(), receiptsEnd); err != nil { // receipts come after the last message
		return "", err
	}
	return w.GetId(), r.Show(ctx, out, rig.Commander, "report", w.GetId())
}

// judged shows the verdict from the carriers' logs.
func judged(ctx context.Context, r *rig.Rig, o Options, out *os.File, id string) error {
	warnings, err := r.WriteWarnings(ctx, id)
	if err != nil {
		return err
	}
	args := []string{"verify", "--directory", r.People(), "--warning", warnings}
	for _, a := range o.Rig.Accounts {
		args = append(args, "--log", fmt.Sprintf("%s=%s@%d", a.Name, r.Log(a.Name), a.Contract))
	}
	err = r.Show(ctx, out, rig.Commander, args...)
	if err == nil {
		fmt.Fprintln(out, "the carriers' logs agree: nobody lost, nobody rung twice, no contract broken")
	}
	return errors.Join(err, ctx.Err())
}
