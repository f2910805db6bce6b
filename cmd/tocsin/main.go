// Command tocsin is the one binary of the house: the engine, its client, and the tools of its load tests, as verbs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tocsin/dispatcher/wiring/show"
)

// version is set by the build.
var version = "unversioned"

// The exit codes.
const (
	exitFailed  = 1 // it did not work, or a verdict is bad
	exitUsage   = 2 // the command line is wrong
	exitRefused = 3 // the engine refused; repeating it will not help
	exitRetry   = 4 // nobody knows whether it happened: repeat with the same key
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // a closed terminal ends what was not started with nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	verb, err := newRoot().ExecuteContextC(ctx)
	stop()
	if err == nil {
		return
	}
	os.Exit(explain(os.Stderr, languageOf(verb), err))
}

// languageOf is the language that a command was asked to answer in.
func languageOf(verb *cobra.Command) show.Language {
	if f := verb.Flags().Lookup("lang"); f != nil {
		return show.Language(f.Value.String())
	}
	return usualLanguage()
}

// usualLanguage is the one of the terminal (POSIX.1-2017, 8.2).
func usualLanguage() show.Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(v, "zh") {
				return "zh-CN"
			}
			break
		}
	}
	return "en"
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "tocsin", Short: "Dispatch warnings to everybody in danger, and prove what became of each person",
		Version: version, SilenceErrors: true, SilenceUsage: true,
		Args: noSuchVerb, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w: see `%s --help`", err, c.CommandPath()))
	})
	root.AddCommand(
		newServe(), newInit(), newConfig(), newLogin(), newUser(), newAudit(), newRedis(),
		newSubmit(), newPreview(), newApprove(), newReject(), newHold(), newRelease(), newCancel(), newAllClear(), newBroadcast(), newReview(), newPolicy(),
		newGet(), newList(), newWatch(), newReport(), newWho(), newHealth(), newStatus(),
		newDuty(), newChannel(), newDirectory(), newArea(), newFence(), newSim(), newVerify(), newCAP(), newDemo(), newBench(),
	)
	return root
}

func noSuchVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("%q is no verb of %s: see `%s --help`", args[0], c.CommandPath(), c.CommandPath()))
}

// exactly wants n arguments, upTo at most n; the error shows how.
func exactly(n int) cobra.PositionalArgs { return explained(cobra.ExactArgs(n)) }
func upTo(n int) cobra.PositionalArgs    { return explained(cobra.MaximumNArgs(n)) }

func explained(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usage(fmt.Errorf("%w: %s", err, c.UseLine()))
		}
		return nil
	}
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func usage(err error) error { return usageError{err} }

func (u usageError) Unwrap() error { return u.error }

var errBadVerdict = errors.New("the verdict is bad")

// group is a verb that only holds others.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noSuchVerb, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(verbs...)
	return c
}
