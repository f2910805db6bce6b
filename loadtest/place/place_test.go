package place

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// TestAPlaceIsKept: who asks for any port does not get it, nobody answers there, and the server that it is for comes and
// goes as it likes.
func TestAPlaceIsKept(t *testing.T) {
	kept := map[string]bool{}
	var some Place
	for range 400 {
		some = Of(t)
		kept[some.Address] = true
	}
	if len(kept) != 400 {
		t.Errorf("%d addresses were kept, 400 asked for", len(kept))
	}
	for range 2000 { // of some 28,000 ports: without the sockets some 28 would be hit
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if kept[l.Addr().String()] {
			t.Fatalf("%s was given to somebody else", l.Addr())
		}
	}
	if c, err := net.Dial("tcp", some.Address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("somebody answers at a place that is kept: %v, %v", c, err)
	}
	for range 3 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", some.Port()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", some.Address)
		if err := errors.Join(err, c.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestAPlaceIsLetGo: after Release anybody may have it, also without SO_REUSEADDR.
func TestAPlaceIsLetGo(t *testing.T) {
	p, err := Keep()
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(p.Port())
	if err != nil {
		t.Fatal(err)
	}
	bind := func() error {
		socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(socket) }()
		return syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
	}
	if err := bind(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("binding where a place is kept: %v", err)
	}
	p.Release()
	if err := bind(); err != nil {
		t.Errorf("binding where a place was let go: %v", err)
	}
}
