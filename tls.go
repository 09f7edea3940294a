package usher

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"sync"

	"github.com/usher-http/usher/authority"
)

// A layer is one TLS configuration made by TLSConfig: what the caller gave, and what servers use in its place.
type layer struct {
	guard  *Guard
	out    *tls.Config // its ticket keys encrypt the tickets of all configurations that come from it
	client func(*tls.ClientHelloInfo) (*tls.Config, error)
}

// layers are found again by the configuration that servers hold, so that a configuration is wrapped once only.
type layers struct {
	mu    sync.Mutex
	byOut map[*tls.Config]*layer
}

func (l *layers) of(c *tls.Config) *layer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byOut[c]
}

func (l *layers) add(y *layer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byOut == nil {
		l.byOut = map[*tls.Config]*layer{}
	}
	l.byOut[y.out] = y
}

// TLSConfig returns a configuration that does what base does (nil: the zero configuration), and that records which
// certificate and policy each connection is made under, binds session tickets to them and, with sites, chooses both by
// SNI. GetCertificate, GetConfigForClient, WrapSession and UnwrapSession of base are called as before. base itself is not
// changed. Session tickets are encrypted with the keys of the configuration that is returned: several servers that
// share sessions give them the same keys with SetSessionTicketKeys.
func (g *Guard) TLSConfig(base *tls.Config) *tls.Config {
	if base == nil {
		base = new(tls.Config)
	}
	if g.layers.of(base) != nil {
		return base
	}
	y := &layer{guard: g, out: base.Clone(), client: base.GetConfigForClient}
	y.out.GetConfigForClient = y.configFor
	g.layers.add(y)
	return y.out
}

// configFor runs on every handshake, resumed ones included, which GetCertificate does not. It writes what it
// chooses into the connection's record.
func (y *layer) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	rec := y.guard.record(hello.Context())
	if rec == nil {
		// Nobody will read it: the request ends as no_facts.
		rec = new(record)
	}
	base := y.out
	if y.client != nil {
		c, err := y.client(hello)
		if err != nil {
			return nil, err
		}
		if rec.handshake.Load() != nil {
			// The caller's function was a clone of a configuration of this guard: it has decided already.
			return c, nil
		}
		if c != nil {
			base = c
		}
	}
	s := y.guard.current()
	if !s.table.HasSites() {
		return y.withoutSites(s, rec, base, hello)
	}
	at := &authority.Conn{Listener: rec.listener, Port: rec.port}
	chosen := s.table.Choose(hello.ServerName, at)
	if chosen == nil {
		return unrecognized(base), nil
	}
	return y.withSite(s, siteOf(chosen), rec, base, hello)
}

// unrecognized ends a handshake with the alert unrecognized_name. It must not resume: without that, a ticket
// of any site would get past it.
func unrecognized(base *tls.Config) *tls.Config {
	c := base.Clone()
	c.GetConfigForClient, c.GetCertificate, c.Certificates = nil, nil, nil
	c.SessionTicketsDisabled = true
	return c
}

func (y *layer) withSite(s *state, in *site, rec *record, base *tls.Config, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	cert, err := y.certificateOf(in, base, hello)
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return unrecognized(base), nil
	}
	rec.handshake.Store(&handshake{
		sni:        authority.CanonicalSNI(hello.ServerName),
		site:       in.name,
		cert:       cert,
		clientAuth: in.clientAuth,
		casDigest:  in.casDigest,
	})
	c := y.configWith(base, cert, hello)
	c.MinVersion = max(c.MinVersion, in.minVersion)
	c.ClientAuth, c.ClientCAs = tls.NoClientCert, nil
	switch in.clientAuth {
	case Optional:
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, in.clientCAs
	case Require:
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, in.clientCAs
	}
	y.bind(c, base, tag{
		site:       in.name,
		clientAuth: byte(in.clientAuth),
		cas:        in.casDigest,
		minVersion: c.MinVersion,
		verifier:   s.rules.VerifierID,
		leaf:       cert.leaf,
		sites:      true,
	})
	return c, nil
}

func (y *layer) certificateOf(in *site, base *tls.Config, hello *tls.ClientHelloInfo) (*certificate, error) {
	if len(in.certificates) > 0 {
		return in.choose(hello), nil
	}
	c, err := selectCertificate(base, hello)
	if c == nil || err != nil {
		return nil, err
	}
	return y.guard.names.certificate(c)
}

// withoutSites keeps the caller's choice of certificate and policy, and records it.
func (y *layer) withoutSites(s *state, rec *record, base *tls.Config, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	sni := authority.CanonicalSNI(hello.ServerName)
	chosen, err := selectCertificate(base, hello)
	if err != nil {
		return nil, err
	}
	if chosen == nil {
		if base != y.out {
			return unrecognized(base), nil
		}
		// The server has put a certificate into a clone of the configuration (http.Server.ServeTLS with files,
		// httptest): let it serve, and refuse what it serves.
		rec.handshake.Store(&handshake{sni: sni})
		return nil, nil
	}
	cert, err := y.guard.names.certificate(chosen)
	if err != nil {
		return nil, err
	}
	rec.handshake.Store(&handshake{sni: sni, cert: cert, perSNI: y.client != nil})
	c := y.configWith(base, cert, hello)
	if c.ClientAuth != tls.NoClientCert && s.rules.VerifierID == "" {
		// A resumed session carries the verification of the handshake that made it. Without a name for that
		// verification a ticket could outlive it.
		c.SessionTicketsDisabled = true
	}
	y.bind(c, base, tag{
		clientAuth: byte(c.ClientAuth),
		minVersion: c.MinVersion,
		verifier:   s.rules.VerifierID,
		leaf:       cert.leaf,
	})
	return c, nil
}

// configWith returns base with one certificate and nothing left to choose.
func (y *layer) configWith(base *tls.Config, cert *certificate, hello *tls.ClientHelloInfo) *tls.Config {
	c := base.Clone()
	c.GetConfigForClient, c.GetCertificate = nil, nil
	c.Certificates = []tls.Certificate{*cert.tls}
	if base == y.out {
		c.NextProtos = y.protocols(hello.Context())
	}
	return c
}

// protocols returns the ALPN protocols that the server offers. net/http adds its own to a clone of the configuration, which
// this layer never sees: so it asks the server that accepted the connection.
func (y *layer) protocols(ctx context.Context) []string {
	list := slices.Clone(y.out.NextProtos)
	srv, _ := ctx.Value(http.ServerContextKey).(*http.Server)
	if srv == nil {
		return list
	}
	served := srv.TLSConfig != nil && srv.TLSConfig.GetConfigForClient != nil // by srv.ServeTLS
	if !served && len(list) > 0 {
		return list // given to tls.NewListener by the caller, who means it
	}
	h1 := srv.Protocols == nil || srv.Protocols.HTTP1()
	h2 := srv.Protocols == nil || srv.Protocols.HTTP2()
	h2 = h2 && srv.TLSNextProto["h2"] != nil
	if served {
		list = slices.Clone(srv.TLSConfig.NextProtos)
	}
	list = slices.DeleteFunc(list, func(p string) bool { return p == "h2" && !h2 || p == "http/1.1" && !h1 })
	if h2 && !slices.Contains(list, "h2") {
		list = append(list, "h2")
	}
	if h1 && !slices.Contains(list, "http/1.1") {
		list = append(list, "http/1.1")
	}
	return list
}
