package usher

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/usher-http/usher/authority"
)

// A Connection is a TCP connection of a server that is not net/http's: the same decision for whoever reads requests from the
// wire themselves. Make one with [Guard.Accept]. Its methods are safe for concurrent use, but for Secured.
//
//	ctx, conn := guard.Accept(ctx, "public", c)
//	secured := tls.Server(c, guard.TLSConfig(base))
//	if err := secured.HandshakeContext(ctx); err != nil { ... }
//	conn.Secured(secured.ConnectionState())
//	verdict, _ := conn.Decide(&usher.Request{Method: "GET", Scheme: "https", Authority: "shop.example"})
type Connection struct {
	guard *Guard
	rec   *record
	cs    *tls.ConnectionState // nil: plaintext
}

// Accept gives a connection its record. The TLS handshake must run under the context that is returned, with a configuration that
// TLSConfig has made. c is what the listener has accepted, without TLS round it.
func (g *Guard) Accept(ctx context.Context, listener string, c net.Conn) (context.Context, *Connection) {
	rec := &record{conn: c, listener: listener, named: true}
	return context.WithValue(ctx, recordKey{g}, rec), &Connection{guard: g, rec: rec}
}

// Secured is called once, when the handshake is complete and before anything is asked.
func (c *Connection) Secured(cs tls.ConnectionState) { c.cs = &cs }

// Context returns a context for requests that a net/http server serves on the connection after all: its ConnContext may return it,
// and the guard then finds the same record.
func (c *Connection) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, recordKey{c.guard}, c.rec)
}

// A Request is what the decision looks at, as the client sent it. Nothing of it is kept.
type Request struct {
	Method string
	// Scheme is :scheme, or that of an absolute-form target. Empty: the protocol has none (HTTP/1.1 in origin-form), and it is that
	// of the connection.
	Scheme string
	// Authority is :authority, else Host, or what an absolute-form target names.
	Authority string
	// Hosts are the Host fields beside :authority. They must agree with it.
	Hosts []string
	// Protocol is :protocol of an extended CONNECT (RFC 8441); else empty.
	Protocol string
	// Header finds fields by name in whatever case. It is asked on connections of trusted gateways alone. nil: there are none.
	Header interface{ Values(name string) []string }
}

// Decide returns the verdict for a request, and the connection's facts as [Guard.Conn] does.
func (c *Connection) Decide(q *Request) (authority.Verdict, *authority.Conn) {
	g := c.guard
	s := g.current() // once: facts and table are of one configuration
	facts := g.factsOf(c.rec, c.cs, s)
	if facts == nil {
		return authority.Answer(authority.NoFacts), nil
	}
	v := s.decideRequest(facts, q)
	if c.rec.mustLeave(s, facts) {
		v.Close = true
	}
	return v, facts
}

func (s *state) decideRequest(c *authority.Conn, q *Request) authority.Verdict {
	if q.Method == http.MethodConnect && q.Protocol == "" {
		return authority.Answer(authority.MethodNotSupported)
	}
	asked := authority.Request{Authority: q.Authority, Hosts: q.Hosts}
	switch {
	case q.Scheme != "":
		asked.Scheme = authority.ParseScheme(q.Scheme)
	case c.Secure || c.Terminated:
		asked.Scheme = authority.HTTPS
	default:
		asked.Scheme = authority.HTTP
	}
	if c.Trusted && q.Header != nil {
		asked.Scheme = forwardedScheme(q.Header, asked.Scheme)
		asked.ClientCert = forwardedClientCert(q.Header)
	}
	return s.table.Decide(c, asked)
}

// OriginFrame returns the ORIGIN frame (RFC 8336) that is due on the connection, to be sent right behind the server's SETTINGS,
// and remembers what it says: a later verdict may ask for the end of the connection because of it. nil: none is due.
func (c *Connection) OriginFrame() []byte {
	if c.cs == nil {
		return nil
	}
	return c.guard.originFrame(c.rec, *c.cs)
}

// MustLeave reports whether the connection was told in an ORIGIN frame of an origin that it may not carry any more, so that it is to end
// gracefully. Verdicts say so, too (Close); a server that asks after a Replace need not wait for the next request.
func (c *Connection) MustLeave() bool {
	if c.rec.told.Load() == nil {
		return false
	}
	s := c.guard.current()
	facts := c.guard.factsOf(c.rec, c.cs, s)
	return facts != nil && c.rec.mustLeave(s, facts)
}
