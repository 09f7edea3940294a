package usher

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/usher-http/usher/authority"
)

// A record is what the guard keeps of one connection. It is made when the connection is accepted; the handshake
// writes into it, and the first request turns it into facts.
type record struct {
	listener  string
	port      uint16
	peer      netip.Addr
	handshake atomic.Pointer[handshake]
	facts     atomic.Pointer[facts]
}

// facts are made of the record under one configuration: whether a peer is trusted, and whether plaintext is allowed, are
// rules, and a connection does not keep what a reload takes away.
type facts struct {
	generation uint64
	conn       authority.Conn
}

// A handshake is what the TLS layer chose.
type handshake struct {
	sni        string
	site       string
	cert       *certificate // nil: chosen by somebody else, behind the guard's back
	clientAuth ClientAuth
	casDigest  authority.CADigest
	perSNI     bool
}

type recordKey struct{ g *Guard }

func (g *Guard) record(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{g}).(*record)
	return rec
}

// ConnContext is for [http.Server.ConnContext]: it gives each connection its record. With several listeners in the
// configuration it finds the connection's by the local port; see [Guard.OnListener].
func (g *Guard) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return g.connContext(ctx, "", false, c)
}

// OnListener returns ConnContext for the connections of the listener of that name.
func (g *Guard) OnListener(name string) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context { return g.connContext(ctx, name, true, c) }
}

func (g *Guard) connContext(ctx context.Context, name string, named bool, c net.Conn) context.Context {
	if g.record(ctx) != nil {
		return ctx
	}
	if !named {
		name = g.current().listenerOf(portOf(c.LocalAddr()))
	}
	return g.Context(ctx, name, c.LocalAddr(), c.RemoteAddr())
}

// Context gives a connection that no net/http server accepts (QUIC, say) its record: the context must be the one
// that the TLS handshake sees, and the requests' contexts must descend from it.
func (g *Guard) Context(ctx context.Context, listener string, local, remote net.Addr) context.Context {
	rec := &record{listener: listener, port: portOf(local), peer: addrOf(remote)}
	return context.WithValue(ctx, recordKey{g}, rec)
}

// listenerOf finds the listener of a connection whose server was not told its name.
func (s *state) listenerOf(port uint16) string {
	if len(s.listeners) == 1 {
		return s.listeners[0].Name
	}
	for _, l := range s.listeners {
		for _, p := range l.Ports {
			if p == port {
				return l.Name
			}
		}
	}
	return ""
}

// conn returns the facts of the request's connection, made once for each configuration. nil: something is missing, and
// warned says what.
func (g *Guard) conn(r *http.Request, s *state) *authority.Conn {
	rec := g.record(r.Context())
	if rec == nil {
		return g.unrecorded(r, s)
	}
	old := rec.facts.Load()
	if old != nil && old.generation == s.generation {
		return &old.conn
	}
	f := &facts{generation: s.generation}
	if !g.fill(&f.conn, rec, r.TLS, s) {
		return nil
	}
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		// Facts of a handshake that is still under way (early data) are not kept.
		return &f.conn
	}
	// Streams of one connection may come here at once: the first one's facts stay, memo included.
	if !rec.facts.CompareAndSwap(old, f) {
		if now := rec.facts.Load(); now.generation == s.generation {
			return &now.conn
		}
	}
	return &f.conn
}

func (g *Guard) unrecorded(r *http.Request, s *state) *authority.Conn {
	switch {
	case r.TLS == nil && s.rules.AllowPlaintext && len(s.listeners) == 0:
		return &authority.Conn{Terminated: true}
	case r.TLS == nil && !s.rules.AllowPlaintext:
		g.warned.once(g, missingTLS)
	default:
		g.warned.once(g, missingConnContext)
	}
	return nil
}

// fill makes facts of a record. It reports false where a fact is missing.
func (g *Guard) fill(c *authority.Conn, rec *record, cs *tls.ConnectionState, s *state) bool {
	c.Listener, c.Port = rec.listener, rec.port
	c.Trusted = s.trusts(rec.listener, rec.peer)
	h := rec.handshake.Load()
	switch {
	case cs == nil && h == nil:
		c.Terminated = !s.plaintext(rec.listener)
		if c.Terminated && !s.rules.AllowPlaintext {
			g.warned.once(g, missingTLS)
			return false
		}
		return true
	case cs == nil, h == nil:
		// Without the state, somebody took Request.TLS away from a TLS connection.
		g.warned.once(g, missingTLSConfig)
		return false
	case h.cert == nil:
		g.warned.once(g, missingCertificate)
		return false
	}
	c.Secure = true
	c.SNI, c.Site = h.sni, h.site
	c.Names = []*authority.Names{h.cert.names}
	c.Version, c.Protocol = cs.Version, cs.NegotiatedProtocol
	c.ClientAuth, c.ClientCAs = h.clientAuth, h.casDigest
	c.Verified = h.clientAuth != None && len(cs.VerifiedChains) > 0
	c.Resumed, c.PerSNI = cs.DidResume, h.perSNI
	return true
}

func portOf(a net.Addr) uint16 { return addrPortOf(a).Port() }

func addrOf(a net.Addr) netip.Addr { return addrPortOf(a).Addr().Unmap() }

func addrPortOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort()
	case *net.UDPAddr:
		return a.AddrPort()
	case nil:
		return netip.AddrPort{}
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap
}
