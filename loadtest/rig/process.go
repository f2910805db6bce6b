package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
)

// process is a child that runs until it is stopped by its process id.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why, after done
}

// start runs the binary with its output in a file.
func (r *Rig) start(name string, args ...string) (*process, error) {
	return r.startCommand(name, r.o.Binary, args...)
}

// startCommand runs a program with its output in a file. The child gets a process group of its own, so that Ctrl-C reaches
// the rig alone and the rig decides in which order things end.
func (r *Rig) startCommand(name, binary string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(r.o.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{name: name, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // nor does it outlive a rig that was killed
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, and makes it end when it has not after patience.
func (p *process) stop(patience time.Duration) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.kill()
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// run runs the binary to its end and answers what it printed; an error carries what it complained of.
func (r *Rig) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd, err := r.ran(ctx, args...)
	if err != nil {
		return nil, err
	}
	return cmd.Stdout.(*bytes.Buffer).Bytes(), nil
}

// ran is run, and answers the command that has ended.
func (r *Rig) ran(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, r.o.Binary, args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("tocsin %s: %w: %s", strings.Join(args[:min(2, len(args))], " "), err, strings.TrimSpace(complaint.String()))
	}
	return cmd, nil
}

// runJSON is run for a verb that answers JSON.
func (r *Rig) runJSON(ctx context.Context, into any, args ...string) error {
	out, err := r.run(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("tocsin %s answered no JSON: %w", strings.Join(args[:min(2, len(args))], " "), err)
	}
	return nil
}

// Answer runs a verb that needs no server and reads its JSON, also when it exits 1 to say that something is bad.
func (r *Rig) Answer(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, r.o.Binary, append(args, "-o", "json")...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if uerr := json.Unmarshal(out, into); uerr != nil {
		return fmt.Errorf("tocsin %s: %w: %s", args[0], errors.Join(err, uerr), strings.TrimSpace(complaint.String()))
	}
	return nil
}

// until calls ready again and again until it answers nil, or the time is over, or the process has ended.
func until(ctx context.Context, p *process, patience time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = ready(ctx); last == nil {
			return nil
		}
		var ended <-chan struct{}
		if p != nil {
			ended = p.done
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended (%w); see %s.log", p.name, errors.Join(p.err, last), p.name)
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %w", patience, last)
		case <-tick.C:
		}
	}
}

// Show prints a command as a person would type it and runs it with its output on out.
func (r *Rig) Show(ctx context.Context, out *os.File, user string, args ...string) error {
	return r.ShowUntil(ctx, nil, out, user, args...)
}

// ShowUntil is Show of a command that goes on until somebody presses Ctrl-C, which happens when enough is closed.
func (r *Rig) ShowUntil(ctx context.Context, enough <-chan struct{}, out *os.File, user string, args ...string) error {
	typed(out, user, args)
	cmd := exec.CommandContext(ctx, r.o.Binary, args...)
	cmd.Env = append(os.Environ(), "TOCSIN_PROFILE="+r.Profile(user))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("tocsin %s: %w", args[0], err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-enough:
			_ = cmd.Process.Signal(os.Interrupt)
		case <-ended:
		}
	}()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("tocsin %s: %w", args[0], err)
	}
	return nil
}

// typed prints a command line: who, and what of it a shell needs in quotes.
func typed(out *os.File, user string, args []string) {
	shown := make([]string, len(args))
	for i, a := range args {
		if shown[i] = a; strings.ContainsAny(a, " ()'\"【】") {
			shown[i] = "'" + a + "'"
		}
	}
	line := fmt.Sprintf("%s$ tocsin %s", user, strings.Join(shown, " "))
	if isatty.IsTerminal(out.Fd()) {
		line = "\x1b[1m" + line + "\x1b[0m" // bold, ECMA-48
	}
	fmt.Fprintf(out, "\n%s\n", line)
}

// Profile is the file that lets a user's commands find the server.
func (r *Rig) Profile(user string) string { return r.path(user + ".profile") }

// Login keeps a profile for every user.
func (r *Rig) Login(ctx context.Context) error {
	for _, u := range users {
		cmd := exec.CommandContext(ctx, r.o.Binary, r.Command(u.name, "login")...)
		cmd.Env = append(os.Environ(), "TOCSIN_PROFILE="+r.Profile(u.name))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("login of %s: %w: %s", u.name, err, bytes.TrimSpace(out))
		}
	}
	return nil
}
