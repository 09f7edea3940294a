package authority

import (
	"cmp"
	"fmt"
	"slices"
)

// OriginFrames says when a listener's connections are told which origins they may carry (RFC 8336).
type OriginFrames uint8

const (
	// AutoFrames sends a frame only where it says everything: a client that has a set must not use origins outside of it, so
	// that an incomplete set costs connections.
	AutoFrames OriginFrames = iota
	// AlwaysFrames sends what can be listed, the nearest first, up to the cap.
	AlwaysFrames
	NeverFrames
)

func (f OriginFrames) String() string {
	switch f {
	case AutoFrames:
		return "auto"
	case AlwaysFrames:
		return "always"
	case NeverFrames:
		return "never"
	}
	return fmt.Sprintf("originframes(%d)", uint8(f))
}

// DefaultMaxOrigins is how many origins a connection is told of at the most, unless Options say otherwise.
const DefaultMaxOrigins = 100

// A Silence is why a connection is told of no origins.
type Silence string

const (
	NotSilent     Silence = ""
	NoSites       Silence = "the table has no sites"
	ListenerGone  Silence = "the connection's listener is not in the table"
	NotTLS        Silence = "the connection is not secured"
	FromGateway   Silence = "the peer is a trusted gateway: origin frames are for clients"
	NeverAsked    Silence = "the listener's origin_frame is never"
	NoServerName  Silence = "the client sent no server name, so the origin that it connected for is not known"
	InitialLost   Silence = "the origin that the connection was made for would be refused on it"
	Wildcard      Silence = "the certificate has a wildcard: hosts behind it may be served, and a frame cannot list them"
	TooMany       Silence = "there are more origins than the cap"
	NothingToList Silence = "no host of the certificate is served here"
)

// Advertise returns the origins that a connection may carry and may be told of: those that Decide serves on it, nothing
// waived, and whose host stands literally in its certificate, because a frame must not disclose hosts that a wildcard
// hides. They come nearest first: those of the site that the handshake chose, then the others, in the order of their
// names. Where nothing is to be sent, the Silence says why. Every origin that is returned, and the connection's initial
// origin with them, is served by this table on this connection.
func (t *Table) Advertise(c *Conn) ([]Origin, Silence) {
	if s := t.silent(c); s != NotSilent {
		return nil, s
	}
	l := t.listenerNamed(c.Listener)
	initial := Request{HTTPS, Authority{host: c.SNI, port: l.advertised(c), kind: dnsName}.String(), nil, nil}
	if v := t.decide(c, initial, nil); !v.entitled() {
		return nil, InitialLost
	}
	always := l.OriginFrame == AlwaysFrames
	if !always && slices.ContainsFunc(c.Names, (*Names).hasWildcard) {
		return nil, Wildcard
	}
	found := t.listable(c, l)
	if most := cmp.Or(t.options.MaxOrigins, DefaultMaxOrigins); len(found) > most {
		if !always {
			return nil, TooMany
		}
		found = found[:most]
	}
	if len(found) == 0 {
		return nil, NothingToList
	}
	origins := make([]Origin, len(found))
	for i := range found {
		origins[i] = found[i].origin
	}
	return origins, NotSilent
}

func (t *Table) silent(c *Conn) Silence {
	switch l := t.listenerNamed(c.Listener); {
	case !t.withSites:
		return NoSites
	case l == nil:
		return ListenerGone
	case !c.Secure:
		return NotTLS
	case c.Trusted:
		return FromGateway
	case l.OriginFrame == NeverFrames:
		return NeverAsked
	case c.SNI == "":
		return NoServerName
	}
	return NotSilent
}

func (v Verdict) entitled() bool { return v.Served() && v.Waived == OK }

// StillServes reports whether every one of the origins is served on the connection. Where it is not, a connection that was
// told of them must be told to go away.
func (t *Table) StillServes(c *Conn, origins []Origin) bool {
	for _, o := range origins {
		if !t.decide(c, Request{Scheme: o.scheme, Authority: o.host.String()}, nil).Served() {
			return false
		}
	}
	return true
}

type listed struct {
	origin Origin
	near   int // 0: of the site that the handshake chose
}

// listable finds the literal hosts of the certificates that are served here, under the port that the listener advertises
// and under those that hosts are narrowed to.
func (t *Table) listable(c *Conn, l *listener) []listed {
	var found []listed
	for _, n := range c.Names {
		for _, name := range n.literal() {
			for _, port := range t.portsOf(name, l.advertised(c)) {
				a := name.WithPort(port)
				v := t.decide(c, Request{Scheme: HTTPS, Authority: a.String()}, nil)
				if !v.entitled() {
					continue
				}
				near := 1
				if v.Site != nil && v.Site.Name == c.Site {
					near = 0
				}
				found = append(found, listed{NewOrigin(HTTPS, a), near})
			}
		}
	}
	slices.SortFunc(found, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.near, b.near), cmp.Compare(a.origin.String(), b.origin.String()))
	})
	return slices.Compact(found)
}

// portsOf returns the ports under which a host may be asked for: the advertised one and those that it is narrowed to.
func (t *Table) portsOf(a Authority, advertised uint16) []uint16 {
	ports := []uint16{advertised}
	keys := []string{a.host}
	if parent, ok := parentOf(a); ok {
		keys = append(keys, parent)
	}
	for _, k := range keys {
		for w := t.index.walk(k); ; {
			e, ok := w.step()
			if !ok {
				break
			}
			if e.port != 0 && !slices.Contains(ports, e.port) {
				ports = append(ports, e.port)
			}
		}
	}
	return ports
}

func (t *Table) listenerNamed(name string) *listener {
	for _, l := range t.listeners {
		if l.any || l.Name == name {
			return l
		}
	}
	return nil
}

// advertised is the port that clients of the listener are told of.
func (l *listener) advertised(c *Conn) uint16 {
	if len(l.Ports) > 0 {
		return l.Ports[0]
	}
	if c.Port != 0 {
		return c.Port
	}
	return HTTPS.DefaultPort()
}

func (n *Names) hasWildcard() bool { return n != nil && len(n.wild) > 0 }

// literal returns the hosts and addresses of the certificate that are no wildcards.
func (n *Names) literal() []Authority {
	var all []Authority
	for _, s := range n.All() {
		if a, err := ParseHost(s); err == nil {
			all = append(all, a)
		}
	}
	return all
}
