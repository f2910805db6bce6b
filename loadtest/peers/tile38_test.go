package peers

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/geojson/geometry"

	"tocsin/loadtest/place"
	"tocsin/warning"
)

var tile38 = flag.String("tile38", "", "path of a tile38-server (go install github.com/tidwall/tile38/cmd/tile38-server); without it there is no comparison with it")

// server keeps people in a tile38-server of its own on the loopback. It is asked in its own protocol, so the way there, its
// reading of the outline and the answer are part of its time; it answers with the count alone.
func server(tb testing.TB, points []geometry.Point) func(warning.Ring) int {
	at := place.Of(tb)
	cmd := exec.Command(*tile38, "-h", "127.0.0.1", "-p", at.Port(), "-d", tb.TempDir(), "--appendonly", "no", "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var (
		conn net.Conn
		err  error
	)
	for until := time.Now().Add(10 * time.Second); ; {
		if conn, err = net.Dial("tcp", at.Address); err == nil {
			break
		}
		if time.Now().After(until) {
			tb.Fatalf("tile38-server does not answer: %v", err)
		}
	}
	tb.Cleanup(func() { conn.Close() })
	answers := bufio.NewReader(conn)
	answer := func() string {
		line, err := answers.ReadString('\n')
		if err != nil || line[0] == '-' {
			tb.Fatalf("tile38-server: %q, %v", line, err)
		}
		return strings.TrimSpace(line)
	}
	say := func(w *bufio.Writer, words ...string) {
		fmt.Fprintf(w, "*%d\r\n", len(words))
		for _, s := range words {
			fmt.Fprintf(w, "$%d\r\n%s\r\n", len(s), s)
		}
	}
	out := bufio.NewWriter(conn)
	degrees := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	for i := 0; i < len(points); {
		from := i
		for ; i < min(from+1000, len(points)); i++ { // as many as the sockets hold on their way
			say(out, "SET", "people", strconv.Itoa(i), "POINT", degrees(points[i].Y), degrees(points[i].X))
		}
		out.Flush()
		for range i - from {
			answer()
		}
	}
	return func(r warning.Ring) int {
		var outline strings.Builder
		for i, p := range r {
			if i > 0 {
				outline.WriteByte(',')
			}
			fmt.Fprintf(&outline, "[%s,%s]", degrees(p[0]), degrees(p[1]))
		}
		say(out, "WITHIN", "people", "COUNT", "OBJECT", `{"type":"Polygon","coordinates":[[`+outline.String()+`]]}`)
		out.Flush()
		n, err := strconv.Atoi(strings.TrimPrefix(answer(), ":"))
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
}
