// Package h3 serves HTTP/3 with the guard of package usher before every request.
//
//	guard, err := usher.New(usher.Config{Sites: sites})
//	srv := &h3.Server{Guard: guard, Handler: mux}
//	pc, err := net.ListenPacket("udp", ":443")
//	err = srv.Serve(pc)
//
// It is the counterpart of Guard.ServeTLS for QUIC: it gives each connection its record, chooses certificate and
// policy by SNI through the guard, tells the guard the :scheme of requests, which quic-go hides, and ends single
// connections gracefully where a refusal asks for that.
package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher"
)

const (
	defaultHeaderTimeout = 10 * time.Second
	defaultIdleTimeout   = 2 * time.Minute
)

// A Server serves HTTP/3 (RFC 9114). Guard must be set; the zero value of every other field is of use. The fields
// must not change after the first Serve. A Server must not be copied. All methods are safe for concurrent use.
type Server struct {
	// Guard decides. It is usually shared with the server for HTTP/1.1 and HTTP/2.
	Guard *usher.Guard
	// Handler answers what Guard serves: the server puts Guard.Handler before it. nil: http.DefaultServeMux. As from
	// net/http's own servers, Request.URL comes without scheme and host.
	Handler http.Handler
	// Unguarded takes the place of Handler for those who call Guard.Decide themselves. It is called for every request
	// that quic-go hands on. Request.URL.Scheme holds :scheme, which Decide needs; it is never empty but for CONNECT.
	Unguarded http.Handler

	// TLSConfig is what Guard.TLSConfig gets as its base; nil: the certificates are those of the guard's sites. The ALPN
	// protocol is h3 whatever NextProtos says. A configuration that Guard.TLSConfig made is welcome too: sessions are then
	// encrypted with its ticket keys.
	TLSConfig *tls.Config
	// Listener is the name of the listener in usher.Config. Empty: the listener is found by the local port, as
	// Guard.ConnContext does.
	Listener string
	// ConnContext, where set, adds to the context of a new connection, from which those of the TLS handshake and of all its requests are made.
	ConnContext func(context.Context) context.Context
	// QUICConfig is a base too: its Tracer and GetConfigForClient are called as before. Allow0RTT is set from EarlyData.
	// MaxIdleTimeout, where 0, is a little longer than IdleTimeout.
	QUICConfig *quic.Config

	// MaxHeaderBytes limits the header section of a request; a longer one is answered 431. 0: http.DefaultMaxHeaderBytes.
	MaxHeaderBytes int
	// HeaderTimeout is how long a new connection may take until the first header section has arrived. 0: 10 seconds;
	// negative: no limit.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept when no request is being answered; incomplete header sections do not
	// count as requests. 0: 2 minutes; negative: no limit.
	IdleTimeout time.Duration
	// MaxConns limits the connections at once of all packet connections, those whose handshake is under way included. Further clients are
	// refused (CONNECTION_REFUSED, RFC 9000 section 20.1), so that they need not wait for a time-out to go elsewhere. When 256 handshakes are
	// under way, or three quarters of MaxConns, clients have to show that they receive what is sent to their address. 0: no limit.
	MaxConns int
	// Full, where set, is called for each client that is refused so. It must not block.
	Full func()
	// EarlyData accepts requests in 0-RTT packets, which others may replay (RFC 8470). Sites with client authentication
	// answer them 425, and a guard without sites those of clients that have shown a certificate. Handlers find such requests
	// by Request.TLS.HandshakeComplete being false. Until the handshake is complete a source address may be forged: a
	// listener with trusted gateways is better left without early data.
	EarlyData bool
	// Logger receives what is worth knowing of connections, at level debug, and panics of handlers. nil: slog.Default()
	// for panics, nothing else.
	Logger *slog.Logger

	manyYoung int           // for tests; 0: defaultManyYoung
	farewell  time.Duration // for tests; 0: defaultFarewell
	open      atomic.Int64  // connections, those whose handshake is under way included

	start   sync.Once
	tls     *tls.Config
	handler http.Handler
	err     error // of start

	mu        sync.Mutex
	closing   bool
	closed    chan struct{} // made with the first endpoint, closed with closing
	empty     chan struct{} // made by Shutdown, closed when the last connection is gone
	endpoints map[*endpoint]struct{}
	conns     map[*conn]struct{}
}

// Serve answers HTTP/3 on pc until Shutdown or Close is called, and returns http.ErrServerClosed then, at once. Until those
// have returned, pc is still in use. It is not closed: whoever opened it closes it. Several packet
// connections may be served at once. Other errors come before anything is served, or when pc fails; they are never nil.
func (s *Server) Serve(pc net.PacketConn) error {
	s.start.Do(func() { s.err = s.prepare() })
	if s.err != nil {
		return s.err
	}
	e, err := s.listen(pc)
	if err != nil {
		return err
	}
	go e.accept()
	select {
	case <-e.failed:
		if s.isClosing() {
			return http.ErrServerClosed
		}
		s.remove(e)
		return e.err
	case <-s.closed:
		return http.ErrServerClosed
	}
}

func (s *Server) prepare() error {
	if s.Guard == nil {
		return errors.New("h3: Server.Guard is nil: a new(usher.Guard) applies the certificate rule")
	}
	if s.Handler != nil && s.Unguarded != nil {
		return errors.New("h3: Server has both Handler and Unguarded: set one of them")
	}
	var err error
	if s.tls, err = s.tlsConfig(); err != nil {
		return err
	}
	switch {
	case s.Unguarded != nil:
		s.handler = s.Unguarded
	case s.Handler != nil:
		s.handler = s.Guard.Handler(withoutScheme{s.Handler})
	default:
		s.handler = s.Guard.Handler(withoutScheme{http.DefaultServeMux})
	}
	return nil
}

// add takes a connection in. late is true if the server is closing.
func (s *Server) add(c *conn) (late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return s.closing
}

func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.noteEmpty()
}

// noteEmpty tells Shutdown that nothing is left. The mutex is held.
func (s *Server) noteEmpty() {
	if s.empty != nil && len(s.conns) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// limit returns a time-out field's value: the default for 0, and 0 for none.
func limit(field, otherwise time.Duration) time.Duration {
	switch {
	case field == 0:
		return otherwise
	case field < 0:
		return 0
	}
	return field
}

func (s *Server) debug(ctx context.Context, msg string, args ...any) {
	if s.Logger != nil {
		s.Logger.DebugContext(ctx, "h3: "+msg, args...)
	}
}
