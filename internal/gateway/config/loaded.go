package config

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/usher-http/usher/authority"
)

// Options are the surroundings of a [Load]. The zero value is ready for use.
type Options struct {
	Now func() time.Time // the clock for certificates; nil: time.Now
}

// Loaded is a configuration that was found good, with everything that it names. It must not be changed; it may be read by
// several goroutines at once.
type Loaded struct {
	Path  string // of the file, as it was given
	File  *File  // as written, with defaults filled in; paths in it are still relative to the file
	Mode  authority.Mode
	State string // folder

	// UnknownNotFound says that unknown hosts are answered 404 where that tells nothing.
	UnknownNotFound bool
	DefaultSite     string // the name of a site; empty: none
	Listeners       []*Listener
	Sites           []*Site
	Log             Log
	Timeouts        Timeouts
	Admin           *Admin   // nil: no admin listener
	Hazards         []Hazard // in the order of the file
}

// A Listener is a place where connections arrive.
type Listener struct {
	Name    string
	Address string // as net.Listen takes it
	Port    uint16 // of Address; 0: the system chooses
	Scheme  authority.Scheme
	// PublicPorts are the further ports that clients may name, the one to advertise first.
	PublicPorts     []uint16
	H1, H2, H3      bool
	TrustedGateways []netip.Prefix // masked
	OriginFrame     authority.OriginFrames
	Line, Column    int // of the address in the file; 1:1 where a default stands in
}

// Ports returns the ports that clients may name, the one to advertise first: the public ones, then the bound one.
func (l *Listener) Ports(bound uint16) []uint16 {
	ports := slices.Clone(l.PublicPorts)
	if bound != 0 && !slices.Contains(ports, bound) {
		ports = append(ports, bound)
	}
	return ports
}

// Trusts reports whether the peer's socket address is a trusted gateway's.
func (l *Listener) Trusts(peer netip.Addr) bool {
	peer = peer.Unmap().WithZone("")
	return slices.ContainsFunc(l.TrustedGateways, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// Issuer says where the certificates of a site come from.
type Issuer uint8

const (
	NoIssuer Issuer = iota // no TLS: the site is served on plaintext listeners alone
	Files                  // Certificates
	Local                  // the gateway's own certificate authority, in State
)

// A Site is a set of hosts with one TLS policy and one list of routes.
type Site struct {
	Name      string
	Patterns  []authority.Pattern
	Listeners []string // names; none: all
	Issuer    Issuer
	// Certificates are those from files, each with its Leaf, in the order of the file. None for other issuers.
	Certificates []tls.Certificate
	Names        []*authority.Names // what each of Certificates covers
	ClientAuth   authority.ClientAuth
	ClientCAs    []*x509.Certificate // empty where ClientAuth is None; each once
	MinVersion   uint16              // tls.VersionTLS12 or tls.VersionTLS13
	// OwnConnections says that only connections whose handshake chose this site may carry its requests.
	OwnConnections bool
	PlainHTTP      bool    // http requests are answered, not redirected
	Routes         []Route // longest path first
	Line, Column   int     // in the file

	hostItems []int // for each of Patterns, its place in the list of hosts
}

// On reports whether the site is served on the listener of that name.
func (s *Site) On(listener string) bool {
	return len(s.Listeners) == 0 || slices.Contains(s.Listeners, listener)
}

// A Route says what is done with requests whose path begins with Path. Exactly one of the others is set.
type Route struct {
	Path     string
	Upstream *Upstream
	Respond  *Respond
	Files    string // folder
	Redirect *Redirect
	Guide    bool // the guide to HTTP status codes, at Path
}

// An Upstream is a set of equal servers.
type Upstream struct {
	URLs        []*url.URL // scheme and host alone
	SNI         string     // empty: the host of the URL
	CAs         *x509.CertPool
	Certificate *tls.Certificate // shown to servers that ask; nil: none
}

// Respond is a fixed answer.
type Respond struct {
	Status int
	Body   string
	Header http.Header // canonical names
}

// Redirect sends clients elsewhere.
type Redirect struct {
	To     string // goes into Location as it stands
	Status int
}

// Log says how the gateway logs.
type Log struct {
	Format string // "json" or "text"
	Output string // "stderr", "stdout" or a path
	Level  slog.Level
	Access bool
}

// Timeouts are the time limits; 0 means none, but for Drain: nothing is waited for.
type Timeouts struct {
	Handshake, Header, Body, Idle time.Duration
	Connect, FirstByte, Whole     time.Duration
	Drain                         time.Duration
}

// Admin is the listener for metrics, health and the console.
type Admin struct {
	Address string
	Token   string // that requests must carry; empty: none, the address is loopback
	// Line and Column are the address's in the file.
	Line, Column int
}
