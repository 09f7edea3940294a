package usher

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"

	"github.com/usher-http/usher/authority"
)

// The words of the decision are those of package authority.
type (
	// ClientAuth is what a site wants of client certificates.
	ClientAuth = authority.ClientAuth
	// Mode says what happens to requests that are refused.
	Mode = authority.Mode
)

const (
	None     = authority.None     // no client certificate is asked for
	Optional = authority.Optional // asked for, verified where given
	Require  = authority.Require  // asked for and verified

	Enforce = authority.Enforce // refuse
	Observe = authority.Observe // record what questions 2, 5, 7 and 8 would refuse, and serve it
)

// Config configures a Guard. The zero Config is the certificate rule.
type Config struct {
	// Sites are the hosts with their TLS policies. None: the certificate rule alone.
	Sites []Site
	// DefaultSite names the site for handshakes whose SNI is absent or unknown. Empty: they end with the alert
	// unrecognized_name.
	DefaultSite string
	Mode        Mode
	// UnknownHost is 421 (zero means it) or 404. 404 is given only where it tells nobody which hosts exist.
	UnknownHost int
	// SamePolicy tells, where the caller chooses TLS configurations by SNI and gives no sites, that host may be served
	// on a connection configured for sni. It must be a pure function. nil: only the same host.
	SamePolicy func(sni, host string) bool
	// VerifierID names the caller's own verification of client certificates (VerifyPeerCertificate,
	// VerifyConnection, its ClientCAs) in session tickets. Change it whenever the verification changes. Without sites and
	// without a VerifierID connections that are asked for client certificates get no tickets.
	VerifierID string

	// Listeners are the places where connections arrive. None: one without a name, over TLS.
	Listeners []Listener
	// AllowPlaintext lets requests in that came without TLS on no http listener, as behind a TLS terminator. Then the
	// guard cannot see scheme, certificate, client authentication and TLS version of the client's connection:
	// questions 2, 5, 7 and 8 are not asked, and sites with client authentication stay closed.
	AllowPlaintext bool
	// NoRefusalBody leaves the bodies of refusals empty.
	NoRefusalBody bool
	// MaxOrigins caps how many origins an ORIGIN frame lists. 0: authority.DefaultMaxOrigins.
	MaxOrigins int
	// Logger receives refusals and missing hooks. nil: slog.Default().
	Logger *slog.Logger
}

// A Site is a set of hosts with one TLS policy.
type Site struct {
	Name string // unique; empty: the first host
	// Hosts are names, one-label wildcards ("*.example.com"), IP literals, each with an optional port, or "*", the
	// catch-all.
	Hosts []string
	// Listeners are the names of those that serve the site. None: all.
	Listeners []string
	// Certificates, one or several (RSA beside ECDSA). None: the certificates of the configuration given to TLSConfig.
	Certificates []tls.Certificate
	ClientAuth   ClientAuth
	// ClientCAs verify client certificates. They are given as certificates because their digest is the identity of
	// the set, and an x509.CertPool gives none back.
	ClientCAs []*x509.Certificate
	// MinVersion is the lowest TLS version, such as tls.VersionTLS13. 0: that of the configuration given to TLSConfig.
	MinVersion uint16
	// OwnConnections refuses connections whose handshake chose another site ("coalesce: false").
	OwnConnections bool
	// PlainHTTP serves http origins on http listeners. Otherwise they are redirected to https.
	PlainHTTP bool
	// Value is the caller's and comes back through [Value].
	Value any
}

// A Listener is a place where connections arrive.
type Listener struct {
	Name   string
	Scheme string // "https" (also when empty) or "http" for plaintext
	// Ports are those that clients may name, the one to advertise first. None: the local port of each connection.
	Ports []uint16
	// OriginFrame says when HTTP/2 connections, served with ServeTLS or prepared with Prepare, are told in an ORIGIN frame
	// (RFC 8336) which origins they may carry. It needs sites.
	OriginFrame OriginFrames
	// TrustedGateways are the addresses of reverse proxies that have made the checks themselves. Their requests are
	// excused from questions 2, 5, 7 and 8, and may bring client certificates in Client-Cert fields (RFC 9440), which are
	// verified here. The test is on the socket's peer.
	TrustedGateways []netip.Prefix
}
