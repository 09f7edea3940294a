package usher

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/usher-http/usher/authority"
)

// A record is what the guard keeps of one connection. It is made when the connection is accepted; the handshake
// writes into it, and the first request turns it into facts.
type record struct {
	conn     net.Conn // nil where no net/http server accepted it
	listener string
	named    bool // the caller said which listener; otherwise the local port tells

	located sync.Once
	port    uint16
	peer    netip.Addr

	handshake atomic.Pointer[handshake]
	facts     atomic.Pointer[facts]
	told      atomic.Pointer[told]
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

// Facts are what a connection proved, seen under one configuration: which addresses are trusted and whether plaintext is
// allowed are rules, and new rules meet old connections too.
type facts struct {
	generation uint64 // of the state; a pointer would keep every replaced table alive
	conn       *authority.Conn
}

type recordKey struct{ g *Guard }

func (g *Guard) record(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{g}).(*record)
	return rec
}

// ConnContext is for [http.Server.ConnContext]: it gives each connection its record. With several listeners in the
// configuration it finds the connection's by the local port; see [Guard.OnListener].
func (g *Guard) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return g.connContext(ctx, &record{conn: c})
}

// OnListener returns ConnContext for the connections of the listener of that name.
func (g *Guard) OnListener(name string) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		return g.connContext(ctx, &record{conn: c, listener: name, named: true})
	}
}

func (g *Guard) connContext(ctx context.Context, rec *record) context.Context {
	// A record of another connection may be there: of the one that this one is tunnelled through, say.
	if old := g.record(ctx); old != nil && old.conn == rec.conn {
		return ctx
	}
	return context.WithValue(ctx, recordKey{g}, rec)
}

// Context gives a connection that no net/http server accepts (QUIC, say) its record: the context must be the one
// that the TLS handshake sees, and the requests' contexts must descend from it.
func (g *Guard) Context(ctx context.Context, listener string, local, remote net.Addr) context.Context {
	rec := &record{listener: listener, named: true, port: portOf(local), peer: addrOf(remote)}
	return context.WithValue(ctx, recordKey{g}, rec)
}

// locate finds the addresses of the socket. It is not done when the connection is accepted, because a connection that
// is wrapped for the PROXY protocol may read, and so wait for its client, before it tells them.
func (rec *record) locate() {
	rec.located.Do(func() {
		if rec.conn != nil {
			c := socketOf(rec.conn)
			rec.port, rec.peer = portOf(c.LocalAddr()), addrOf(c.RemoteAddr())
		}
	})
}

// socketOf takes the wrappers off a connection. What a PROXY header says of the peer is no reason to trust it.
func socketOf(c net.Conn) net.Conn {
	for {
		var inner net.Conn
		switch w := c.(type) {
		case interface{ NetConn() net.Conn }: // crypto/tls
			inner = w.NetConn()
		case interface{ Raw() net.Conn }: // PROXY protocol
			inner = w.Raw()
		}
		if inner == nil || inner == c {
			return c
		}
		c = inner
	}
}

// listenerOf finds the listener of a connection.
func (s *state) listenerOf(rec *record) string {
	if rec.named {
		return rec.listener
	}
	if len(s.listeners) == 1 {
		return s.listeners[0].Name
	}
	rec.locate()
	for _, l := range s.listeners {
		for _, p := range l.Ports {
			if p == rec.port {
				return l.Name
			}
		}
	}
	return ""
}

// conn returns the facts of the request's connection. nil: something is missing, and warned says what.
func (g *Guard) conn(r *http.Request, s *state) *authority.Conn {
	rec := g.record(r.Context())
	if rec == nil {
		return g.unrecorded(r, s)
	}
	return g.factsOf(rec, r.TLS, s)
}

// factsOf makes the facts of a record, once for each configuration.
func (g *Guard) factsOf(rec *record, cs *tls.ConnectionState, s *state) *authority.Conn {
	old := rec.facts.Load()
	if old != nil && old.generation == s.generation {
		return old.conn
	}
	var c *authority.Conn
	if old != nil {
		// Not from cs again: this may be the request that a site was shown, without the client's certificate.
		c = provedAgain(old.conn)
	} else if c = g.proved(rec, cs); c == nil {
		return nil
	}
	if c = g.under(s, rec, c); c == nil || cs != nil && !cs.HandshakeComplete {
		// Facts of a handshake that is still under way (early data) are not kept.
		return c
	}
	// Streams of one connection may come here at once: the first one's facts stay, memo included.
	if !rec.facts.CompareAndSwap(old, &facts{s.generation, c}) {
		if now := rec.facts.Load(); now.generation == s.generation {
			return now.conn
		}
	}
	return c
}

func (g *Guard) unrecorded(r *http.Request, s *state) *authority.Conn {
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

// proved returns what the handshake proved, for a plaintext connection nothing.
func (g *Guard) proved(rec *record, cs *tls.ConnectionState) *authority.Conn {
	h := rec.handshake.Load()
	switch {
	case cs == nil && h == nil:
		return new(authority.Conn)
	case cs == nil || h == nil:
		// Without cs somebody took Request.TLS away.
		g.warned.once(g, missingTLSConfig)
		return nil
	case h.cert == nil:
		g.warned.once(g, missingCertificate)
		return nil
	}
	return &authority.Conn{
		Secure:     true,
		SNI:        h.sni,
		Site:       h.site,
		Names:      []*authority.Names{h.cert.names},
		Version:    cs.Version,
		Protocol:   cs.NegotiatedProtocol,
		ClientAuth: h.clientAuth,
		ClientCAs:  h.casDigest,
		Verified:   h.clientAuth != None && len(cs.VerifiedChains) > 0,
		Resumed:    cs.DidResume,
		PerSNI:     h.perSNI,
	}
}

// provedAgain copies what a handshake proved and nothing that follows from rules.
func provedAgain(c *authority.Conn) *authority.Conn {
	return &authority.Conn{
		Secure: c.Secure, SNI: c.SNI, Site: c.Site, Names: c.Names, Version: c.Version, Protocol: c.Protocol,
		ClientAuth: c.ClientAuth, ClientCAs: c.ClientCAs, Verified: c.Verified, Resumed: c.Resumed, PerSNI: c.PerSNI,
	}
}

// under completes facts with what the rules say of the connection. nil: plaintext, and it is not allowed.
func (g *Guard) under(s *state, rec *record, c *authority.Conn) *authority.Conn {
	rec.locate()
	c.Listener, c.Port = s.listenerOf(rec), rec.port
	c.Trusted = s.trusts(c.Listener, rec.peer)
	if c.Secure || s.plaintext(c.Listener) {
		return c
	}
	if !s.rules.AllowPlaintext {
		g.warned.once(g, missingTLS)
		return nil
	}
	c.Terminated = true
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
