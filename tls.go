package usher

import (
	"crypto/tls"
	"errors"
	"reflect"

	"github.com/usher-http/usher/authority"
)

// TLSConfig returns a configuration that does what base does (nil: the zero configuration), and that records which
// certificate and policy each connection is made under, binds session tickets to them and, with sites, chooses both by
// SNI. GetCertificate, GetConfigForClient, WrapSession and UnwrapSession of base are called as before, the first two with a
// ServerName in lower case, empty where it is no host name. base itself is not changed. The result may be changed until the first handshake. Session tickets are encrypted with its keys, at any time,
// also where a server works with a clone: several servers that share sessions give it the same keys with
// SetSessionTicketKeys.
//
// With sites, base must not ask for client certificates: handshakes would fail. Without sites and with GetConfigForClient,
// hosts other than the SNI's are refused unless Config.SamePolicy allows them. A base that tells hosts apart in
// VerifyConnection alone is not noticed: give such hosts sites, or configurations of their own by GetConfigForClient.
func (g *Guard) TLSConfig(base *tls.Config) *tls.Config {
	if base == nil {
		base = new(tls.Config)
	}
	if g.layers.of(base) != nil {
		return base
	}
	return g.newLayer(base.Clone(), base.GetConfigForClient, nil).out
}

// configFor runs on every handshake, resumed ones included, which GetCertificate does not. It writes what it
// chooses into the connection's record.
func (y *layer) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	rec := y.guard.recordOf(hello)
	hello = folded(hello)
	own := y.own()
	base, perSNI := own, y.client != nil
	if y.client != nil {
		c, err := y.client(hello)
		if err != nil {
			return nil, err
		}
		if h := rec.handshake.Load(); h != nil {
			// The caller's function is that of a configuration of this guard, of which this one is a clone.
			perSNI = h.perSNI
		}
		if c != nil {
			base = c
		}
	}
	k := &choice{y: y, state: y.guard.current(), rec: rec, base: base, own: base == own, perSNI: perSNI, hello: hello}
	if !k.state.table.HasSites() {
		return k.withoutSites()
	}
	rec.locate()
	at := &authority.Conn{Listener: k.state.listenerOf(rec), Port: rec.port}
	chosen := k.state.table.Choose(hello.ServerName, at)
	if chosen == nil {
		return unrecognized(base), nil
	}
	return k.withSite(siteOf(chosen))
}

// folded returns the hello with the name that the rest of the decision goes by. A caller's function that looks names up
// as they come would choose the configuration of no host for ADMIN.example, and the request for admin.example would
// then meet its own SNI.
func folded(hello *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	sni := authority.CanonicalSNI(hello.ServerName)
	if sni == hello.ServerName {
		return hello
	}
	h := *hello
	h.ServerName = sni
	return &h
}

// recordOf returns the record that a handshake writes to. Where there is none, or that of another connection whose
// context this one was given, nobody will read what it writes, and requests end as no_facts.
func (g *Guard) recordOf(hello *tls.ClientHelloInfo) *record {
	rec := g.record(hello.Context())
	if rec == nil {
		return new(record)
	}
	if c, ok := rec.conn.(*tls.Conn); ok && hello.Conn != nil && c.NetConn() != hello.Conn {
		return new(record)
	}
	return rec
}

// A choice is one handshake's way to a configuration.
type choice struct {
	y      *layer
	state  *state
	rec    *record
	base   *tls.Config // the layer's own or the one that the caller has chosen for this client
	own    bool
	perSNI bool
	hello  *tls.ClientHelloInfo
}

// unrecognized ends a handshake with the alert unrecognized_name. It must not resume: without that, a ticket
// of any site would get past it.
func unrecognized(base *tls.Config) *tls.Config {
	c := base.Clone()
	c.GetConfigForClient, c.GetCertificate, c.Certificates = nil, nil, nil
	c.SessionTicketsDisabled = true
	return c
}

// errClientAuth ends handshakes of a configuration that asks for client certificates beside sites: the sites' policy
// would take the place of the caller's, and a server that was closed as a whole would be open.
var errClientAuth = errors.New("usher: with sites, client authentication is theirs: set Site.ClientAuth in place of tls.Config.ClientAuth")

func (k *choice) withSite(in *site) (*tls.Config, error) {
	if k.base.ClientAuth != tls.NoClientCert {
		return nil, errClientAuth
	}
	cert, err := k.certificateOf(in)
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return unrecognized(k.base), nil
	}
	k.rec.handshake.Store(&handshake{
		sni:        k.hello.ServerName,
		site:       in.name,
		cert:       cert,
		clientAuth: in.clientAuth,
		casDigest:  in.casDigest,
	})
	c := k.configWith(cert)
	c.MinVersion = max(c.MinVersion, in.minVersion)
	switch in.clientAuth {
	case Optional:
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, in.clientCAs
	case Require:
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, in.clientCAs
	}
	k.y.bind(c, k.base, tag{
		site:       in.name,
		clientAuth: byte(in.clientAuth),
		cas:        in.casDigest,
		minVersion: c.MinVersion,
		verifier:   k.state.rules.VerifierID,
		leaf:       cert.leaf,
		sites:      true,
	})
	return c, nil
}

func (k *choice) certificateOf(in *site) (*certificate, error) {
	if len(in.certificates) > 0 {
		return in.choose(k.hello), nil
	}
	c, err := selectCertificate(k.base, k.hello)
	if c == nil || err != nil {
		return nil, err
	}
	return k.y.guard.names.certificate(c)
}

// withoutSites keeps the caller's choice of certificate and policy, and records it.
func (k *choice) withoutSites() (*tls.Config, error) {
	sni := k.hello.ServerName
	chosen, err := selectCertificate(k.base, k.hello)
	if err != nil {
		return nil, err
	}
	if chosen == nil {
		if !k.own {
			return unrecognized(k.base), nil
		}
		// The server has put a certificate into a clone of the configuration (http.Server.ServeTLS with files,
		// httptest): let it serve, and refuse what it serves.
		k.rec.handshake.Store(&handshake{sni: sni, perSNI: k.perSNI})
		return nil, nil
	}
	cert, err := k.y.guard.names.certificate(chosen)
	if err != nil {
		return nil, err
	}
	k.rec.handshake.Store(&handshake{sni: sni, cert: cert, perSNI: k.perSNI})
	c := k.configWith(cert)
	if c.ClientAuth != tls.NoClientCert && k.state.rules.VerifierID == "" {
		// A resumed session carries the verification of the handshake that made it. Without a name for that
		// verification a ticket could outlive it.
		c.SessionTicketsDisabled = true
	}
	k.y.bind(c, k.base, tag{
		clientAuth: byte(c.ClientAuth),
		minVersion: c.MinVersion,
		verifier:   k.state.rules.VerifierID,
		leaf:       cert.leaf,
	})
	return c, nil
}

// configWith returns base with one certificate and nothing left to choose.
func (k *choice) configWith(cert *certificate) *tls.Config {
	c := k.base.Clone()
	c.GetConfigForClient, c.GetCertificate = nil, nil
	c.Certificates = []tls.Certificate{*cert.tls}
	if k.own {
		c.NextProtos = offered(k.hello, c.NextProtos)
	}
	return c
}

// offered returns the ALPN protocols that the server offers. Servers put their own into a clone of the configuration
// (http.Server.ServeTLS, httptest), and what GetConfigForClient returns takes the place of that clone. The handshake
// knows it in a field that is not exported: reflection reads it. Should a later crypto/tls not have it, the
// configuration's own list stays.
func offered(hello *tls.ClientHelloInfo, own []string) []string {
	config := reflect.ValueOf(hello).Elem().FieldByName("config")
	if config.Kind() != reflect.Pointer || config.IsNil() || config.Elem().Kind() != reflect.Struct {
		return own
	}
	list := config.Elem().FieldByName("NextProtos")
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.String || list.Len() == 0 {
		return own
	}
	protocols := make([]string, list.Len())
	for i := range protocols {
		protocols[i] = list.Index(i).String()
	}
	return protocols
}
