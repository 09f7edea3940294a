package authority

import (
	"strings"
	"sync/atomic"
)

// A Conn holds the facts of one connection: what the handshake that made its keys proved. Whoever accepts the
// connection fills it in; from the first Decide on the facts must not change and the Conn must not be copied.
// Decide may be called on it from several goroutines at once. The zero Conn is a plaintext connection on the
// listener without a name.
type Conn struct {
	Listener string
	Port     uint16 // the local port; it counts where the listener names no ports. 0: any
	Secure   bool   // TLS or QUIC
	// Trusted says that the peer's socket address is one of the listener's trusted gateways. It excuses from
	// questions 2, 5, 7 and 8.
	Trusted bool
	// Terminated says that a TLS terminator, of which nothing is known, stands in front and that the caller allows it.
	// It excuses as Trusted does, but brings no client certificates.
	Terminated bool

	SNI        string   // canonical; empty where absent or an IP literal
	Site       string   // the name of the site that was chosen at the handshake
	Names      []*Names // of the certificates that were presented
	Version    uint16   // TLS version as on the wire
	Protocol   string   // ALPN
	ClientAuth ClientAuth
	ClientCAs  CADigest
	Verified   bool // the client showed a certificate and its chain verified under ClientCAs
	Resumed    bool
	// PerSNI says that the caller chose this connection's TLS configuration by SNI, without sites: hosts other
	// than the SNI's may be under another policy.
	PerSNI bool

	memo memo
}

func (c *Conn) scheme() Scheme {
	if c.Secure {
		return HTTPS
	}
	return HTTP
}

// covers reports whether a certificate of this connection is valid for the host.
func (c *Conn) covers(a Authority) bool {
	for _, n := range c.Names {
		if n.Covers(a) {
			return true
		}
	}
	return false
}

const memoSlots = 4

// A memo remembers the last few verdicts of a connection, because most requests on a connection repeat its hosts.
// Streams of one connection are decided concurrently: slots are swapped whole.
type memo struct {
	slots [memoSlots]atomic.Pointer[memoEntry]
	next  atomic.Uint32
}

type memoEntry struct {
	// The generation stands for the table: a pointer would keep every replaced table alive as long as an idle
	// connection remembers it.
	generation uint64
	scheme     Scheme
	authority  string
	verdict    Verdict
}

// get returns a verdict that must not be changed, nil where there is none.
func (m *memo) get(generation uint64, s Scheme, authority string) *Verdict {
	for i := range m.slots {
		if e := m.slots[i].Load(); e.holds(generation, s, authority) {
			return &e.verdict
		}
	}
	return nil
}

func (e *memoEntry) holds(generation uint64, s Scheme, authority string) bool {
	return e != nil && e.generation == generation && e.scheme == s && e.authority == authority
}

func (m *memo) put(generation uint64, s Scheme, authority string, v Verdict) {
	// The authority may be cut out of a request's whole header block: a copy lets that go.
	e := &memoEntry{generation, s, strings.Clone(authority), v}
	m.slots[(m.next.Add(1)-1)%memoSlots].Store(e)
}
