package broker

import (
	"net"
	"sync"
)

// socket is a listener that ends its connections when it closes: the server waits for those that never said who they
// are.
type socket struct {
	net.Listener
	mu     sync.Mutex // guards what follows
	open   map[*conn]bool
	closed bool
}

type conn struct {
	net.Conn
	of *socket
}

// Accept waits for the next connection.
func (s *socket) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // it came while the listener closed
		c.Close()
		return nil, net.ErrClosed
	}
	k := &conn{c, s}
	s.open[k] = true
	return k, nil
}

// Close closes the listener and its connections.
func (s *socket) Close() error {
	err := s.Listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		c.Conn.Close()
	}
	return err
}

// Close closes the connection.
func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
