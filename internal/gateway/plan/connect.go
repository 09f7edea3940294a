package plan

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A Client is what somebody brings to a listener.
type Client struct {
	Listener *config.Listener
	SNI      string // as it is sent; empty: none
	Protocol string // "h1", "h2" or "h3"
	Version  uint16 // highest TLS version that it speaks; 0: TLS 1.3
	// Certificate says that it has a client certificate for whichever site asks for one, and shows it.
	Certificate bool
}

// An Alert is a handshake that ends without a connection.
type Alert struct {
	Name string // of RFC 8446 section 6, such as unrecognized_name
	Why  string
	Hint string // what the operator may do; empty: nothing
}

func (a *Alert) Error() string { return "the handshake ends with the alert " + a.Name + ": " + a.Why }

// Connect returns the facts of the connection that the client gets, or the alert that it gets in its place. On a plaintext
// listener there is no handshake and every connection is the same.
func (p *Plan) Connect(c Client) (*authority.Conn, *Alert) {
	conn := &authority.Conn{Listener: c.Listener.Name, Port: c.Listener.Port}
	if c.Listener.Scheme != authority.HTTPS {
		return conn, nil
	}
	if strings.HasSuffix(c.SNI, ".") {
		return nil, &Alert{"decode_error", fmt.Sprintf("the server name %q ends in a dot, which RFC 6066 section 3 forbids", c.SNI), ""}
	}
	s := p.table.Choose(c.SNI, conn)
	if s == nil {
		return nil, p.unrecognized(c.SNI)
	}
	if len(s.Certificates) == 0 {
		return nil, &Alert{"unrecognized_name", fmt.Sprintf("site %q has no certificate", s.Name),
			"give the site a certificate, or serve it on plaintext listeners alone"}
	}
	conn.Secure = true
	conn.SNI, conn.Site = authority.CanonicalSNI(c.SNI), s.Name
	// The certificates of a site differ in the type of their key; every client of today takes the first.
	conn.Names = s.Certificates[:1]
	conn.Protocol = alpn[c.Protocol]
	if conn.Version = c.Version; conn.Version == 0 {
		conn.Version = tls.VersionTLS13
	}
	if conn.Version < s.MinVersion {
		return nil, &Alert{"protocol_version", fmt.Sprintf("site %q wants %s", s.Name, tls.VersionName(s.MinVersion)),
			"the client must speak it, or the site's min_version must go down"}
	}
	conn.ClientAuth, conn.ClientCAs = s.ClientAuth, s.ClientCAs
	conn.Verified = s.ClientAuth != authority.None && c.Certificate
	if s.ClientAuth == authority.Require && !conn.Verified {
		return nil, &Alert{"certificate_required", fmt.Sprintf("site %q requires a client certificate", s.Name),
			"the client must show one that verifies under the site's client_ca"}
	}
	return conn, nil
}

// alpn are the names on the wire.
var alpn = map[string]string{"h1": "http/1.1", "h2": "h2", "h3": "h3"}

func (p *Plan) unrecognized(sni string) *Alert {
	a := &Alert{Name: "unrecognized_name", Hint: "add the host to a site, or name a default_site for such handshakes"}
	switch {
	case sni == "":
		a.Why = "the client sends no server name, and there is no default_site"
		a.Hint = "name a default_site for such handshakes"
	case authority.CanonicalSNI(sni) == "":
		a.Why = fmt.Sprintf("the server name %q is no host name, which counts as none, and there is no default_site", sni)
		a.Hint = "name a default_site for such handshakes"
	default:
		a.Why = fmt.Sprintf("no site has the host %q, and there is no default_site", sni)
	}
	return a
}
