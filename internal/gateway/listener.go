package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/usher-http/usher/h3"
	"github.com/usher-http/usher/internal/gateway/config"
)

// The header section of a request may be this long, on every protocol. Browsers send a few KiB; nginx takes 32 KiB.
const maxHeaderBytes = 64 << 10

// A listener is a configured place where connections arrive, with what serves it. It does not change once it serves: a
// reload makes another one, which takes over what stays.
type listener struct {
	*door
	gateway  *Gateway
	spec     *config.Listener
	timeouts config.Timeouts
	socket   socket
	tcp      *front // nil: neither HTTP/1.1 nor HTTP/2
	udp      *front // nil: no HTTP/3
}

// A door is what requests see of a listener.
type door struct {
	name  string
	https bool
	// altSvc is what ordinary responses advertise; empty: nothing. A reload may change it.
	altSvc atomic.Pointer[string]
	// gone says that a reload took the listener out of the table, or gave its name to another one.
	gone atomic.Bool
}

// A front is one server on one socket. It serves once, and ends.
type front struct {
	key      frontKey
	serve    func() error
	shutdown func(context.Context) error // graceful, as long as the context lasts
	close    func()                      // at once
	reloaded func()                      // there is a new table; nil: nothing is to be done then
	served   chan struct{}               // closed when serve has returned
}

// A frontKey is what a server was made from. With the same key a running server can stay.
type frontKey struct {
	name                    string
	https, h1, h2           bool
	handshake, header, idle time.Duration
}

func (l *listener) key() frontKey {
	t := l.timeouts
	return frontKey{l.name, l.https, l.spec.H1, l.spec.H2, t.Handshake, t.Header, t.Idle}
}

// ports are those that clients may name, the one to advertise first.
func (l *listener) ports() []uint16 { return l.spec.Ports(l.socket.port()) }

func (l *listener) addresses() []Address {
	var list []Address
	if l.tcp != nil {
		list = append(list, Address{l.name, "tcp", l.socket.tcp.Addr()})
	}
	if l.udp != nil {
		list = append(list, Address{l.name, "udp", l.socket.udp.LocalAddr()})
	}
	return list
}

func (l *listener) fronts() []*front {
	var list []*front
	for _, f := range []*front{l.tcp, l.udp} {
		if f != nil {
			list = append(list, f)
		}
	}
	return list
}

// advertise says which port Alt-Svc names: the first public one, else the bound one.
func (l *listener) advertise() {
	value := ""
	if ports := l.ports(); l.udp != nil && len(ports) > 0 {
		value = fmt.Sprintf("h3=\":%d\"; ma=86400", ports[0])
	}
	l.altSvc.Store(&value)
}

// baseTLS is what every handshake of the gateway has in common; certificate and policy come from the guard.
func (g *Gateway) baseTLS() *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS12,
		VerifyConnection: g.metrics.handshake,
		// Without certificates nothing is served; but a server may be prepared before the reload that brings its sites.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
	}
}

// newTCP makes the server for HTTP/1.1 and HTTP/2.
func (l *listener) newTCP() *front {
	srv := newTCPServer(l)
	var lent *lease
	begun := make(chan struct{})
	return &front{
		key:    l.key(),
		served: make(chan struct{}),
		serve: func() error {
			lent = l.socket.lend(func(c net.Conn) *conn { return l.newConn(c) })
			close(begun)
			return srv.serve(lent)
		},
		shutdown: func(ctx context.Context) error {
			<-begun
			lent.Close()
			return srv.shutdown(ctx)
		},
		close: func() {
			<-begun
			lent.Close()
			srv.close()
		},
		reloaded: srv.tellMisled,
	}
}

// newUDP makes the server for HTTP/3.
func (l *listener) newUDP() *front {
	g := l.gateway
	shortage := shortage{listener: l}
	srv := &h3.Server{
		Guard:          g.guard,
		Unguarded:      &entry{g, l.door},
		TLSConfig:      g.baseTLS(),
		QUICConfig:     l.quicConfig(),
		Listener:       l.name,
		ConnContext:    withH3Conn,
		MaxHeaderBytes: maxHeaderBytes,
		HeaderTimeout:  orNever(l.timeouts.Header),
		IdleTimeout:    orNever(l.timeouts.Idle),
		MaxConns:       openFiles(),
		Full:           func() { shortage.tell(errManyH3) },
	}
	return &front{
		key:      l.key(),
		served:   make(chan struct{}),
		serve:    func() error { return srv.Serve(l.socket.udp) },
		shutdown: srv.Shutdown,
		close:    func() { srv.Close() },
	}
}

// quicConfig bounds what a client may send ahead that nobody reads as HTTP/2 does: quic-go's windows grow to 6 and 15 MiB otherwise. A
// client has three streams of its own in one direction (RFC 9114 section 6.2), and a few that mean nothing.
func (l *listener) quicConfig() *quic.Config {
	return &quic.Config{
		Tracer:                         l.countQUIC,
		HandshakeIdleTimeout:           l.timeouts.Handshake / 2, // twice that is for all of it
		InitialStreamReceiveWindow:     h3StreamWindow,
		MaxStreamReceiveWindow:         h3StreamWindow,
		InitialConnectionReceiveWindow: h3ConnWindow,
		MaxConnectionReceiveWindow:     h3ConnWindow,
		MaxIncomingStreams:             h3Streams,
		MaxIncomingUniStreams:          h3UniStreams,
	}
}

const (
	h3StreamWindow, h3ConnWindow = 256 << 10, 1 << 20
	h3Streams, h3UniStreams      = 100, 16
)

// countQUIC counts a connection as long as its context lasts. It traces nothing.
func (l *listener) countQUIC(connection context.Context, _ bool, _ quic.ConnectionID) qlogwriter.Trace {
	open := l.gateway.metrics.connections.WithLabelValues(l.name, "h3")
	open.Inc()
	context.AfterFunc(connection, open.Dec)
	return nil
}

// begin serves in the background. An end that nobody asked for ends the gateway.
func (f *front) begin(g *Gateway, what string) {
	go func() {
		err := f.serve()
		close(f.served)
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			g.logger().Error("listener failed", "listener", what, "error", err.Error())
			g.end(fmt.Errorf("listener %q: %w", what, err))
		}
	}()
}

// orNever turns the configuration's "no limit" into the one of package h3.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
