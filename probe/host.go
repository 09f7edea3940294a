package probe

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/probe/wire"
)

// A Host is a target with what its own connections told.
type Host struct {
	Target
	Addresses []netip.AddrPort // where it is; over HTTP/3 Own may have another one
	Failure   wire.Failure     // why it cannot be reached by any protocol; empty: it can
	Detail    string           // of the failure
	Own       map[wire.Protocol]*Own
}

// An Own is what a host answers on a connection of its own, over one protocol.
type Own struct {
	Address netip.AddrPort
	Facts   wire.Facts
	Failure wire.Failure // of the handshake without a client certificate
	Detail  string
	Plain   Baseline // without a client certificate
	Shown   Baseline // with the client certificate; empty where there is none or the server did not ask

	ShownFailure wire.Failure // of the handshake with it
	Walled       bool         // Judge has seen that it refuses whoever is asked for on this connection
	Origins      *OriginSet   // nil: no ORIGIN frame came
	AltSvc       string
}

// A Baseline is what a host answers to the same request, asked twice: its difference is the page's own noise.
type Baseline []wire.Answer

// Good returns the first answer, and whether there is one.
func (b Baseline) Good() (wire.Answer, bool) {
	for _, a := range b {
		if a.OK() {
			return a, true
		}
	}
	return wire.Answer{}, false
}

// An OriginSet is what the ORIGIN frames of a connection said (RFC 8336).
type OriginSet struct {
	Origins []authority.Origin
	Bad     int    // entries that are no origin
	Ignored int    // frames on another stream than 0 or with forbidden flags
	Error   string // a frame that could not be parsed
}

// Lists reports whether the set has the target's origin.
func (s *OriginSet) Lists(t Target) bool {
	return s != nil && slices.Contains(s.Origins, authority.NewOrigin(authority.HTTPS, t.Authority))
}

// Reachable reports whether the host answers over any protocol, or would with a client certificate.
func (h *Host) Reachable() bool {
	for _, o := range h.Own {
		if o.speaks() {
			return true
		}
	}
	return false
}

// speaks reports whether the host answers over the protocol, or would with a client certificate. A handshake alone is no answer.
func (o *Own) speaks() bool {
	if o == nil {
		return false
	}
	_, plain := o.Plain.Good()
	_, shown := o.Shown.Good()
	return plain && o.Failure == "" || shown || o.refuses()
}

// failed says why the host does not answer over the protocol.
func (o *Own) failed() (wire.Failure, string) {
	if o.Failure == "" && len(o.Plain) > 0 {
		return o.Plain[0].Failure, o.Plain[0].Detail
	}
	return o.Failure, o.Detail
}

// Asks reports whether it asks for a client certificate, over any protocol.
func (h *Host) Asks() bool {
	for _, o := range h.Own {
		if o.Facts.Asked {
			return true
		}
	}
	return false
}

// Accepted reports whether our client certificate opens the host on its own connection.
func (h *Host) Accepted() bool {
	for _, o := range h.Own {
		if a, ok := o.Shown.Good(); ok && a.Status < 400 {
			return true
		}
	}
	return false
}

// own returns what is known over a protocol, else over another one: content does not depend on it.
func (h *Host) own(p wire.Protocol) *Own {
	for _, p := range []wire.Protocol{p, wire.H2, wire.H1, wire.H3} {
		if o := h.Own[p]; o.speaks() {
			return o
		}
	}
	return nil
}

// Leaf returns the certificate of its own connections, nil where none was seen.
func (h *Host) Leaf() *x509.Certificate {
	for _, p := range []wire.Protocol{wire.H2, wire.H1, wire.H3} {
		if o := h.Own[p]; o != nil && o.Facts.Leaf() != nil {
			return o.Facts.Leaf()
		}
	}
	return nil
}

// Covers reports whether a certificate is valid for the target's host by its subject alternative names, whoever signed it.
func Covers(leaf *x509.Certificate, t Target) bool {
	if leaf == nil {
		return false
	}
	host := t.Host()
	if t.IsIP() {
		host = net.ParseIP(t.Host()).String()
	}
	return leaf.VerifyHostname(host) == nil
}

// Fingerprint is the SHA-256 of a certificate in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// NamesOf returns the subject alternative names that count for hosts.
func NamesOf(c *x509.Certificate) []string {
	names := []string{}
	for _, name := range c.DNSNames {
		names = append(names, clean(name))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// trouble says what a client that verifies would object to, empty where it would not.
func trouble(chain []*x509.Certificate, t Target, roots *x509.CertPool, now time.Time) string {
	if len(chain) == 0 {
		return "no certificate"
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: t.Host(), Roots: roots, Intermediates: between, CurrentTime: now})
	if err != nil {
		return err.Error()
	}
	return ""
}
