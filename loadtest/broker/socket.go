package broker

import (
	"net"
	"sync"
)

// socket is a listener that ends its connections when it closes: the server waits for those that never said who they
// are.
type socket struct {
	net.Listener
	mu   sync.Mutex // guards open
	open map[*conn]bool
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
	k := &conn{c, s}
	s.open[k] = true
	return k, nil
}

// Close closes the listener and its connections.
func (s *socket) Close() error {
	err := s.Listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
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
