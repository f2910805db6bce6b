package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"tocsin/loadtest/verify"
	pb "tocsin/proto/tocsin/v1"
)

// WriteWarnings writes warnings as they are recorded now, for a verdict, and answers the file's path.
func (r *Rig) WriteWarnings(ctx context.Context, ids ...string) (string, error) {
	conn, err := r.As(Commander)
	if err != nil {
		return "", err
	}
	var all []byte
	for _, id := range ids {
		resp, err := pb.NewWarningServiceClient(conn).Get(ctx, &pb.GetRequest{Id: id})
		if err != nil {
			return "", err
		}
		b, err := protojson.Marshal(resp.GetWarning())
		if err != nil {
			return "", err
		}
		all = append(append(all, b...), '\n')
	}
	path := r.path("warnings.json")
	return path, os.WriteFile(path, all, 0o600)
}

// Newest is the warning that was submitted last.
func (r *Rig) Newest(ctx context.Context) (*pb.Warning, error) {
	conn, err := r.As(Commander)
	if err != nil {
		return nil, err
	}
	list, err := pb.NewWarningServiceClient(conn).List(ctx, &pb.ListRequest{})
	if err != nil {
		return nil, err
	}
	var newest *pb.Warning
	for _, w := range list.GetWarnings() {
		if newest == nil || w.GetId() > newest.GetId() { // a ULID begins with its time
			newest = w
		}
	}
	if newest == nil {
		return nil, errors.New("there is no warning")
	}
	return newest, nil
}

// Verify makes the verdict over warnings from the directory, the warnings and the carriers' logs. allowed is how many
// messages beyond what was wanted are no fault.
func (r *Rig) Verify(ctx context.Context, allowed int64, ids ...string) (verify.Verdict, error) {
	warnings, err := r.WriteWarnings(ctx, ids...)
	if err != nil {
		return verify.Verdict{}, err
	}
	in := verify.Input{Directory: r.People(), Warnings: warnings, Outlines: r.o.Outlines, AllowedRepeats: allowed, Positions: r.Positions}
	for _, a := range r.o.Accounts {
		acc := verify.Account{Name: a.Name, Logs: []string{r.Log(a.Name)}}
		if !a.Unlimited {
			acc.MessagesPerS = float64(a.Contract)
		}
		in.Accounts = append(in.Accounts, acc)
	}
	// A log is flushed each 50 ms; what was answered to the engine is in it after that.
	pause(ctx, 200*time.Millisecond)
	return verify.Run(in)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Resident is the memory of a process, now and at most, in MB.
func Resident(pid int) (now, most float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmRSS": &now, "VmHWM": &most}[name]
		if into == nil {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return 0, 0, err
		}
		*into = kb / 1024
	}
	return now, most, nil
}

// ForgetPeak lets the most memory of a process count from now on.
func ForgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600)
}

// PeakResident is the most memory that the engine's process has had, in MB, and the processor time it used.
func (r *Rig) PeakResident() (mb, cpu float64, err error) {
	pid := r.EnginePID()
	if _, mb, err = Resident(pid); err != nil {
		return 0, 0, err
	}
	cpu, err = ProcessorTime(pid)
	return mb, cpu, err
}

// ProcessorTime is what a process has used of processors, in seconds.
func ProcessorTime(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(after)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100, err // USER_HZ, proc(5)
}

// RedisPID is the process id of the engine's own Redis.
func (r *Rig) RedisPID() (int, error) {
	b, err := os.ReadFile(r.path("data/redis/redis.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// KillRedis ends the engine's own Redis as kill -9 does.
func (r *Rig) KillRedis() error {
	pid, err := r.RedisPID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}
