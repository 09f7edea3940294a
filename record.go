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
	trusted   bool
	handshake atomic.Pointer[handshake]
	facts     atomic.Pointer[authority.Conn]
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
	rec.trusted = g.current().trusts(listener, rec.peer)
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

// conn returns the facts of the request's connection, made once. nil: something is missing, and warned says what.
func (g *Guard) conn(r *http.Request) *authority.Conn {
	rec := g.record(r.Context())
	if rec == nil {
		return g.unrecorded(r)
	}
	if c := rec.facts.Load(); c != nil {
		return c
	}
	c := g.factsOf(rec, r.TLS)
	if c == nil || r.TLS != nil && !r.TLS.HandshakeComplete {
		// Facts of a handshake that is still under way (early data) are not kept.
		return c
	}
	// Streams of one connection may come here at once: the first one's facts stay, memo included.
	if !rec.facts.CompareAndSwap(nil, c) {
		return rec.facts.Load()
	}
	return c
}

func (g *Guard) unrecorded(r *http.Request) *authority.Conn {
	s := g.current()
	if r.TLS == nil && s.rules.AllowPlaintext && len(s.listeners) == 0 {
		return &authority.Conn{Terminated: true}
	}
	if r.TLS == nil && !s.rules.AllowPlaintext {
		g.warned.once(g, missingTLS)
		return nil
	}
	g.warned.once(g, missingConnContext)
	return nil
}

func (g *Guard) factsOf(rec *record, cs *tls.ConnectionState) *authority.Conn {
	c := &authority.Conn{Listener: rec.listener, Port: rec.port, Trusted: rec.trusted}
	if cs == nil {
		s := g.current()
		switch {
		case rec.handshake.Load() != nil:
			// A TLS connection whose request shows none: somebody took r.TLS away.
			g.warned.once(g, missingTLSConfig)
			return nil
		case s.plaintext(rec.listener):
			return c
		case s.rules.AllowPlaintext:
			c.Terminated = true
			return c
		}
		g.warned.once(g, missingTLS)
		return nil
	}
	h := rec.handshake.Load()
	switch {
	case h == nil:
		g.warned.once(g, missingTLSConfig)
		return nil
	case h.cert == nil:
		g.warned.once(g, missingCertificate)
		return nil
	}
	c.Secure = true
	c.SNI, c.Site = h.sni, h.site
	c.Names = []*authority.Names{h.cert.names}
	c.Version, c.Protocol = cs.Version, cs.NegotiatedProtocol
	c.ClientAuth, c.ClientCAs = h.clientAuth, h.casDigest
	c.Verified = h.clientAuth != None && len(cs.VerifiedChains) > 0
	c.Resumed, c.PerSNI = cs.DidResume, h.perSNI
	return c
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
