package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tocsin/dispatcher/wiring"
	"tocsin/dispatcher/wiring/show"
)

// client is the flags of a verb that calls an engine.
type client struct {
	server wiring.Server
	key    string
	output string
	lang   string
}

// calls gives c the flags of a verb that calls an engine.
func calls(c *cobra.Command) *client {
	k := &client{}
	c.Flags().StringVar(&k.server.Address, "server", "", "host:port of the engine (default: as logged in)")
	c.Flags().StringVar(&k.server.CAFile, "ca", "", "PEM file of the authority to trust (default: as logged in)")
	c.Flags().StringVar(&k.server.TokenFile, "token-file", "", "file that holds the token (default: as logged in)")
	return k
}

// answers adds the flags of a verb that answers data.
func (k *client) answers(c *cobra.Command) *client {
	c.Flags().StringVarP(&k.output, "output", "o", "text", "text or json")
	c.Flags().StringVar(&k.lang, "lang", "en", "language of the text: zh-CN or en")
	return k
}

// changes adds the flag of a verb that changes something.
func (k *client) changes(c *cobra.Command) *client {
	c.Flags().StringVar(&k.key, "key", "", "key of idempotency: the same key does it once (default: a new one)")
	return k
}

func (k *client) language() show.Language { return show.Language(k.lang) }

// with calls do with a connection.
func (k *client) with(do func(*grpc.ClientConn) error) error {
	switch {
	case k.output != "" && k.output != "text" && k.output != "json" && k.output != "csv" && k.output != "cap":
		return usage(fmt.Errorf("--output %q: say text or json", k.output))
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

// act calls do with a connection and a key; the error names the key.
func (k *client) act(do func(conn *grpc.ClientConn, key string) error) error {
	key := k.key
	if key == "" {
		key = ulid.Make().String()
	}
	return k.with(func(conn *grpc.ClientConn) error {
		if err := do(conn, key); err != nil {
			return keyed{err, key}
		}
		return nil
	})
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
