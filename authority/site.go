package authority

import "fmt"

// ClientAuth is what a site wants of client certificates, and what a connection's handshake asked for.
type ClientAuth uint8

const (
	None     ClientAuth = iota // no certificate is asked for
	Optional                   // asked for, verified where given
	Require                    // asked for and verified
)

func (m ClientAuth) String() string {
	switch m {
	case None:
		return "none"
	case Optional:
		return "optional"
	case Require:
		return "require"
	}
	return fmt.Sprintf("clientauth(%d)", uint8(m))
}

func (m ClientAuth) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m *ClientAuth) UnmarshalText(text []byte) error {
	switch string(text) {
	case "none", "":
		*m = None
	case "optional":
		*m = Optional
	case "require":
		*m = Require
	default:
		return fmt.Errorf("client authentication is none, optional or require, not %q", text)
	}
	return nil
}

// A CADigest identifies a set of certificate authorities: the SHA-256 over the sorted DER of its certificates.
// Sets that differ in one certificate differ. The zero CADigest is the empty set.
type CADigest [32]byte

// A Site is a set of hosts with one TLS policy. A Table keeps its own copy; the slices must not change.
type Site struct {
	Name string // unique, 1 to 253 bytes
	// Patterns are the site's hosts. The copy in a table has none: they live on in the table's index alone.
	Patterns []Pattern
	// Listeners are the names of the listeners that serve the site; none: all.
	Listeners []string
	// Certificates are the names that each certificate of the site covers. They matter for the catch-all alone, which has
	// only the hosts that they cover: what a connection presented is in its Conn.
	Certificates   []*Names
	ClientAuth     ClientAuth
	ClientCAs      CADigest // of the set that client certificates are verified under
	MinVersion     uint16   // lowest TLS version, as on the wire (0x0304 is TLS 1.3); 0: any
	OwnConnections bool     // only connections whose handshake chose this site
	PlainHTTP      bool     // http origins are served on plaintext listeners; otherwise they are redirected to https
	// Value is the caller's and is carried untouched, so that routes and policy always come from one table.
	Value any

	listeners []*listener // resolved
	first     int         // the lowest order of them
	shards    []uint32    // where its keys lie in the index
}

// A Listener is a place where connections arrive.
type Listener struct {
	Name   string
	Scheme Scheme // HTTPS for TLS, HTTP for plaintext
	// Ports are the ports that clients may name, the one to advertise first. None: whatever Conn.Port says.
	Ports []uint16
	// OriginFrame says when its connections are told which origins they may carry.
	OriginFrame OriginFrames
}

type listener struct {
	Listener
	order int  // its place in Options.Listeners
	any   bool // the implicit listener of a table without listeners: every connection is on it, whatever its scheme
}

func (l *listener) carries(s Scheme) bool { return l.any || l.Scheme == s }

// takes reports whether origins of the scheme may arrive on l. A gateway in front may receive https and forward in
// plaintext: then the scheme of the connection's own listener says nothing.
func (l *listener) takes(s Scheme, c *Conn) bool {
	return l.carries(s) || (c.Trusted || c.Terminated) && l.Name == c.Listener
}

func (l *listener) hasPort(port uint16, c *Conn) bool {
	if len(l.Ports) == 0 {
		return c.Port == port || c.Port == 0
	}
	for _, p := range l.Ports {
		if p == port {
			return true
		}
	}
	return false
}

// covers reports whether any certificate of the site is valid for the host.
func (s *Site) covers(a Authority) bool {
	for _, n := range s.Certificates {
		if n.Covers(a) {
			return true
		}
	}
	return false
}

// on returns the site's listener of that name, nil where the site is not served there.
func (s *Site) on(name string) *listener {
	for _, l := range s.listeners {
		if l.any || l.Name == name {
			return l
		}
	}
	return nil
}
