package h3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// An endpoint is one UDP socket that the server serves. It owns the quic.Transport, because only the transport's
// ConnContext reaches the TLS handshake as well as the requests.
type endpoint struct {
	server    *Server
	local     net.Addr
	transport *quic.Transport
	accepting accepter
	young     atomic.Int64  // connections whose handshake is not complete
	failed    chan struct{} // closed when nothing more can be accepted
	err       error         // set before failed is closed
}

type accepter interface {
	Accept(context.Context) (*quic.Conn, error)
	Close() error
}

func (s *Server) listen(pc net.PacketConn) (*endpoint, error) {
	e := &endpoint{
		server:    s,
		local:     pc.LocalAddr(),
		transport: &quic.Transport{Conn: pc},
		failed:    make(chan struct{}),
	}
	e.transport.ConnContext = e.connContext
	many := s.many()
	e.transport.VerifySourceAddress = func(net.Addr) bool { return e.young.Load() >= many }
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, http.ErrServerClosed
	}
	var err error
	if s.EarlyData {
		e.accepting, err = e.transport.ListenEarly(s.tls, s.quicConfig())
	} else {
		e.accepting, err = e.transport.Listen(s.tls, s.quicConfig())
	}
	if err != nil {
		e.transport.Close()
		return nil, fmt.Errorf("h3: %w", err)
	}
	if s.endpoints == nil {
		s.endpoints = map[*endpoint]struct{}{}
	}
	s.endpoints[e] = struct{}{}
	if s.closed == nil {
		s.closed = make(chan struct{})
	}
	return e, nil
}

// defaultManyYoung is how many handshakes may be under way before further clients have to show that they receive what is sent to their address
// (RFC 9000 section 8.1.2), which costs them a round trip: an address that is forged costs us memory and a signature, and the one who
// forged it a datagram.
const defaultManyYoung = 256

// many is how many handshakes are many. A quarter of MaxConns is left to clients that are where they say.
func (s *Server) many() int64 {
	many := cmp.Or(s.manyYoung, defaultManyYoung)
	if s.MaxConns > 0 {
		many = min(many, s.MaxConns-s.MaxConns/4)
	}
	return int64(many)
}

type grownKey struct{}

// count counts a connection as young until grown is called with its context, or until it ends.
func (e *endpoint) count(ctx context.Context) context.Context {
	e.young.Add(1)
	grown := sync.OnceFunc(func() { e.young.Add(-1) })
	context.AfterFunc(ctx, grown)
	return context.WithValue(ctx, grownKey{}, grown)
}

// grown waits for the end of the handshake, which has come where there is no early data.
func grown(qc *quic.Conn) {
	tell, ok := qc.Context().Value(grownKey{}).(func())
	if !ok {
		return
	}
	select {
	case <-qc.HandshakeComplete():
	case <-qc.Context().Done():
	}
	tell()
}

// connContext runs for the first packet of every connection, before its handshake. With an error quic-go refuses the
// connection (CONNECTION_REFUSED), so that clients need not wait for a time-out to go elsewhere.
func (e *endpoint) connContext(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	s := e.server
	if s.isClosing() {
		return nil, http.ErrServerClosed
	}
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	if s.Listener != "" {
		ctx = s.Guard.Context(ctx, s.Listener, e.local, client.RemoteAddr)
	} else {
		ctx = s.Guard.ConnContext(ctx, addresses{local: e.local, remote: client.RemoteAddr})
	}
	if s.ConnContext != nil {
		ctx = s.ConnContext(ctx)
	}
	return e.count(withSchemes(ctx)), nil
}

var errFull = errors.New("h3: there are as many connections as MaxConns")

// admit counts a connection until its context ends, unless there are too many.
func (s *Server) admit(ctx context.Context) error {
	if n := s.open.Add(1); s.MaxConns > 0 && n > int64(s.MaxConns) {
		s.open.Add(-1)
		if s.Full != nil {
			s.Full()
		}
		return errFull
	}
	context.AfterFunc(ctx, func() { s.open.Add(-1) })
	return nil
}

// addresses are a connection as far as Guard.ConnContext looks at it.
type addresses struct {
	net.Conn
	local, remote net.Addr
}

func (a addresses) LocalAddr() net.Addr  { return a.local }
func (a addresses) RemoteAddr() net.Addr { return a.remote }

// accept goes on while the server shuts down, because handshakes may then be under way.
func (e *endpoint) accept() {
	defer close(e.failed)
	for {
		qc, err := e.accepting.Accept(context.Background())
		if err != nil {
			e.err = fmt.Errorf("h3: %w", err)
			return
		}
		if e.server.EarlyData {
			go grown(qc)
		} else {
			grown(qc)
		}
		c := newConn(e.server, qc)
		late := e.server.add(c)
		go c.serve()
		if late {
			// GOAWAY tells its client that nothing was processed, so that everything may be repeated elsewhere.
			c.end()
		}
	}
}

func (e *endpoint) close() {
	e.accepting.Close()
	e.transport.Close()
	<-e.failed
}
