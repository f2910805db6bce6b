// Package place keeps addresses of the loopback for servers that start later, in this process or in another, or that go
// away and come back. A port that was only looked for and let go is anybody's until then: another test takes it, and what
// answers there is not what is meant.
package place

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Place is an address that is kept. Whoever connects is refused while no server listens there.
type Place struct {
	Address string // host:port
	socket  int
}

// Keep keeps an address until Release. It belongs to a socket that is bound and does not listen: the system gives it to
// nobody who asks for any free port, nor to a connection on its way out, but a server that names it may listen there, as
// often as it likes, where it sets SO_REUSEADDR. Go does, and so do Redis and the others that are started here.
func Keep() (p Place, err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return p, fmt.Errorf("a socket to keep an address: %w", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(socket)
		}
	}()
	if err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return p, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return p, fmt.Errorf("a free address of the loopback: %w", err)
	}
	at, err := syscall.Getsockname(socket)
	if err != nil {
		return p, fmt.Errorf("the address that was kept: %w", err)
	}
	return Place{net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port)), socket}, nil
}

// Port is that of the address.
func (p Place) Port() string {
	_, port, _ := net.SplitHostPort(p.Address)
	return port
}

// Release lets others have the address.
func (p Place) Release() { _ = syscall.Close(p.socket) }

// Test is what Of needs of a test.
type Test interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

// Of is an address that is kept until the test ends.
func Of(t Test) Place {
	t.Helper()
	p, err := Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}
