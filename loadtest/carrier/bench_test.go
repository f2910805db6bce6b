package carrier

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childEnv makes the test binary a carrier of its own, so that its processor time can be told from the client's. Its
// value is the path of the log.
const childEnv = "CARRIER_BENCH_LOG"

func child() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := Default()
	cfg.Name, cfg.SystemID, cfg.Password, cfg.Log = "bench", "tocsin", "secret", os.Getenv(childEnv)
	cfg.RoundTrip, _ = time.ParseDuration(os.Getenv(childEnv + "_RTT"))
	cfg.ReceiptDelay, cfg.ReceiptJitter = 50*time.Millisecond, 20*time.Millisecond
	if f, err := os.Create(os.Getenv(childEnv + "_PROFILE")); err == nil {
		if err := pprof.StartCPUProfile(f); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	c, err := Listen(cfg)
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Address())
	if err := c.Serve(ctx); err != nil {
		panic(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Println(m.Mallocs)
}

// BenchmarkCarrier drives a carrier in a process of its own over loopback: submit, answer, receipt and its answer, with
// a log line each. core-msg/s is messages a second of the carrier's processor time.
func BenchmarkCarrier(b *testing.B) {
	for _, s := range []struct {
		links, window int
		rtt           time.Duration
	}{{4, 1024, 0}, {64, 64, 0}, {64, 256, 20 * time.Millisecond}} {
		b.Run(fmt.Sprintf("links=%d/window=%d/rtt=%v", s.links, s.window, s.rtt), func(b *testing.B) {
			benchCarrier(b, s.links, s.window, s.rtt)
		})
	}
}

func benchCarrier(b *testing.B, links, window int, rtt time.Duration) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+filepath.Join(b.TempDir(), "log"), childEnv+"_RTT="+rtt.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	addr := lines.Text()
	var all sync.WaitGroup
	conns := make([]net.Conn, links)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", addr); err != nil {
			b.Fatal(err)
		}
		if _, err := conns[i].Write(encode(bindTransceiver, 0, 1, bindBody("tocsin", "secret", 0x34))); err != nil {
			b.Fatal(err)
		}
		if _, err := readPDU(conns[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var receipts atomic.Int64
	done := make(chan struct{})
	for i, conn := range conns {
		n := b.N / links
		if i == 0 {
			n += b.N % links
		}
		all.Go(func() { flood(conn, 100000000*i, n, window, &receipts, int64(b.N), done) })
	}
	<-done
	b.StopTimer()
	wall := b.Elapsed()
	for _, c := range conns {
		c.Close()
	}
	all.Wait()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	lines.Scan()
	mallocs, _ := strconv.Atoi(lines.Text())
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(b.N)/wall.Seconds(), "msg/s")
	b.ReportMetric(float64(b.N)/cpu.Seconds(), "core-msg/s")
	b.ReportMetric(float64(mallocs)/float64(b.N), "carrier-allocs/msg")
}

// flood submits n messages with a window of open ones and answers every receipt; done is closed at the last receipt of
// all links.
func flood(conn net.Conn, first, n, window int, receipts *atomic.Int64, all int64, done chan struct{}) {
	two := message{to: "99900000000000", esm: 0x40, coding: 8, body: append([]byte{5, 0, 3, 9, 2, 1}, make([]byte, 134)...), validity: "000000020000000R"}
	two.body[7], two.body[30] = 'a', 'b'
	t := encode(submitSM, 0, 0, two.encode())
	at := 0
	for i := range t {
		if string(t[i:i+14]) == two.to {
			at = i
			break
		}
	}
	sent, open := 0, 0
	var out []byte
	in := make([]byte, 256<<10)
	end := 0
	for {
		for sent < n && open < window {
			from := len(out)
			out = append(out, t...)
			binary.BigEndian.PutUint32(out[from+12:], uint32(sent+1))
			x := first + sent
			for d := range 11 {
				out[from+at+13-d] = byte('0' + x%10)
				x /= 10
			}
			sent++
			open++
		}
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		k, err := conn.Read(in[end:])
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return
			}
			return
		}
		end += k
		used := 0
		for end-used >= headerLen {
			l := int(binary.BigEndian.Uint32(in[used:]))
			if end-used < l {
				break
			}
			p := in[used : used+l]
			used += l
			if binary.BigEndian.Uint32(p[4:]) == deliverSM {
				out = append(appendHeader(out, headerLen+1, deliverSM|response, 0, binary.BigEndian.Uint32(p[12:])), 0)
				if receipts.Add(1) == all {
					close(done)
				}
			} else {
				open--
			}
		}
		end = copy(in, in[used:end])
	}
}
