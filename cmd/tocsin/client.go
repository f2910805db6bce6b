package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tocsin/dispatcher/wiring"
	"tocsin/dispatcher/wiring/show"
)

// client is the flags of a verb that calls an engine.
type client struct {
	command *cobra.Command
	server  wiring.Server
	key     string
	output  string
	lang    string
}

// calls gives c the flags of a verb that calls an engine.
func calls(c *cobra.Command) *client {
	k := &client{command: c}
	c.Flags().StringVar(&k.server.Address, "server", "", "host:port of the engine (default: as logged in)")
	c.Flags().StringVar(&k.server.CAFile, "ca", "", "PEM file of the authority to trust (default: as logged in)")
	c.Flags().StringVar(&k.server.TokenFile, "token-file", "", "file that holds the token (default: as logged in)")
	return k
}

// answers adds the flags of a verb that answers data.
func (k *client) answers(c *cobra.Command) *client {
	c.Flags().StringVarP(&k.output, "output", "o", "text", "text or json")
	c.Flags().StringVar(&k.lang, "lang", string(usualLanguage()), "language of the text: zh-CN or en")
	return k
}

// changes adds the flag of a verb that changes something.
func (k *client) changes(c *cobra.Command) *client {
	c.Flags().StringVar(&k.key, "key", "", "key of idempotency: the same key does it once (default: that of the same command without an answer, else a new one)")
	return k
}

func (k *client) language() show.Language { return show.Language(k.lang) }

// with calls do with a connection.
func (k *client) with(do func(*grpc.ClientConn) error) error {
	switch {
	case k.output != "" && !slices.Contains(forms(k.command), k.output):
		return usage(fmt.Errorf("--output %q: say %s", k.output, k.command.Flags().Lookup("output").Usage))
	case k.lang != "" && k.lang != "en" && k.lang != "zh-CN":
		return usage(fmt.Errorf("--lang %q: say zh-CN or en", k.lang))
	}
	k.server.Language = k.lang
	conn, err := k.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(conn)
}

// forms is the forms of an answer that a verb has, by what it says of them.
func forms(c *cobra.Command) []string {
	return strings.FieldsFunc(strings.ReplaceAll(c.Flags().Lookup("output").Usage, " or ", ","), func(r rune) bool { return r == ',' || r == ' ' })
}

// act calls do with a connection and a key. The same command without an answer had the same key; the error names it.
func (k *client) act(do func(conn *grpc.ClientConn, key string) error) error {
	return k.with(func(conn *grpc.ClientConn) error {
		if k.key != "" {
			return keyedOr(do(conn, k.key), k.key)
		}
		complaints := k.command.ErrOrStderr()
		u, err := k.server.Begin(k.said())
		switch {
		case err != nil: // a stop is not hindered by a full disk
			fmt.Fprintln(complaints, k.language().NotKept(u.Key, err))
		case u.Resumed:
			fmt.Fprintln(complaints, k.language().Resumed(u.Began()))
		}
		err = do(conn, u.Key)
		if settled(err, !u.Resumed) {
			if err := u.End(); err != nil {
				fmt.Fprintln(complaints, "tocsin:", err)
			}
		}
		return keyedOr(err, u.Key)
	})
}

// set is act for what another act may take back, like a hold: said again it is meant again, so its key is always a new one.
func (k *client) set(do func(conn *grpc.ClientConn, key string) error) error {
	return k.with(func(conn *grpc.ClientConn) error {
		key := cmp.Or(k.key, ulid.Make().String())
		return keyedOr(do(conn, key), key)
	})
}

// settled tells whether an act is over: the engine has answered, or nothing was sent by this command and none before.
func settled(err error, first bool) bool {
	if _, ok := status.FromError(err); !ok {
		return first
	}
	return !unknown(status.Code(err))
}

// unknown tells whether a call with this code may have been carried out.
func unknown(c codes.Code) bool {
	switch c {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Unknown:
		return true
	}
	return false
}

func keyedOr(err error, key string) error {
	if err == nil {
		return nil
	}
	return keyed{err, key}
}

// said is what makes the command the same when it is said again: its verb, what it is about, its flags, and what the files
// hold that it names.
func (k *client) said() []string {
	all := []string{k.command.CommandPath()}
	add := func(s string) {
		all = append(all, s)
		if info, err := os.Stat(s); err == nil && info.Mode().IsRegular() {
			all = append(all, digestOf(s))
		}
	}
	for _, arg := range k.command.Flags().Args() {
		add(arg)
	}
	k.command.Flags().Visit(func(f *pflag.Flag) {
		switch list, several := f.Value.(pflag.SliceValue); {
		case slices.Contains([]string{"server", "ca", "token-file", "output", "lang"}, f.Name): // how, not what
		case several:
			all = append(all, "--"+f.Name)
			for _, v := range list.GetSlice() {
				add(v)
			}
		default:
			all = append(all, "--"+f.Name)
			add(f.Value.String())
		}
	})
	return all
}

// contentMost is how much of a file is read only to know it again.
const contentMost = 1 << 20

// digestOf names what a file holds. One that may be gigabytes is named by what it is: whoever writes to it or puts another
// one in its place changes the time of its change, which nobody can set.
func digestOf(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return err.Error() // what cannot be read is refused where it is used
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && info.Size() > contentMost {
		return fmt.Sprint(is.Dev, is.Ino, is.Size, is.Ctim)
	}
	b, err := os.ReadFile(name)
	return fmt.Sprintf("%x %v", sha256.Sum256(b), err)
}

// put writes the answer: as JSON, or as lines.
func (k *client) put(w io.Writer, m proto.Message, lines ...string) error {
	if k.output == "json" {
		return putProto(w, m)
	}
	return putLines(w, lines)
}

func putLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func putProto(w io.Writer, m proto.Message) error {
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(b))
	return err
}

func putJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
