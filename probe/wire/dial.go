package wire

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Dial says what connection is wanted.
type Dial struct {
	Address     netip.AddrPort
	Protocol    Protocol
	ServerName  string // SNI as it goes out; empty: none
	Version     uint16 // tls.VersionTLS12 or tls.VersionTLS13; 0: the best of both
	Certificate *tls.Certificate
	Resume      *Ticket // nil: a full handshake
	Once        bool    // keep no session, and spare both sides the post-quantum key exchange: for very many hosts
	Limits      Limits
}

// Facts are what a handshake told the client.
type Facts struct {
	Version uint16
	Resumed bool
	Chain   []*x509.Certificate // as presented; after a resumption those of the first handshake
	Asked   bool                // the server asked for a client certificate
	Issuers [32]byte            // whose certificates it asked for: SHA-256 over their names
	Late    bool                // it asked after a request, by a renegotiation
	Shown   bool                // and was given one
}

// Leaf returns the server's certificate, nil where it showed none.
func (f *Facts) Leaf() *x509.Certificate {
	if len(f.Chain) == 0 {
		return nil
	}
	return f.Chain[0]
}

// A Ticket is a session of TLS that can be resumed, under whatever server name.
type Ticket struct{ state *tls.ClientSessionState }

// shelf is a session cache for one connection: it knows one session to resume and keeps the last one that came.
type shelf struct {
	resume *Ticket
	last   atomic.Pointer[Ticket] // over HTTP/3 it may come at any time, on a goroutine of quic-go
}

func (s *shelf) Get(string) (*tls.ClientSessionState, bool) {
	if s.resume == nil {
		return nil, false
	}
	return s.resume.state, true
}

func (s *shelf) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.last.Store(&Ticket{state})
	}
}

// A Conn is a connection to a server, for one goroutine.
type Conn struct {
	Facts  Facts
	Dial   Dial
	limits Limits
	shelf  *shelf
	dead   bool
	made   bool // the first handshake is done

	tcp net.Conn
	r   *bufio.Reader
	w   *bufio.Writer
	h2  *h2
	h3  *h3
}

// Open makes a connection. An error is sorted by [FailureOf].
func Open(ctx context.Context, d Dial) (*Conn, error) {
	c := &Conn{Dial: d, limits: d.Limits.withDefaults(), shelf: &shelf{resume: d.Resume}}
	ctx, cancel := context.WithTimeout(ctx, c.limits.Connect)
	defer cancel()
	if d.Protocol == H3 {
		return c, c.openQUIC(ctx)
	}
	return c, c.openTCP(ctx)
}

// FailureOf sorts an error of [Open]; nil is none.
func FailureOf(err error) (Failure, string) {
	if err == nil {
		return "", ""
	}
	return failureOf(err)
}

func (c *Conn) openTCP(ctx context.Context) error {
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, "tcp", c.Dial.Address.String())
	if err != nil {
		return err
	}
	t := tls.Client(tcp, c.config())
	if err := t.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return err
	}
	state := t.ConnectionState()
	c.learn(state)
	agreed := state.NegotiatedProtocol
	if c.Dial.Protocol == H2 && agreed != "h2" || c.Dial.Protocol == H1 && agreed != "http/1.1" && agreed != "" {
		t.Close()
		return errProtocol
	}
	c.made = true
	c.tcp, c.r, c.w = t, bufio.NewReader(t), bufio.NewWriter(t)
	if c.Dial.Protocol == H2 {
		c.h2 = newH2(c)
	}
	return nil
}

// config never verifies: what a certificate is worth is judged by whoever asked.
func (c *Conn) config() *tls.Config {
	config := &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         c.Dial.ServerName,
		NextProtos:         c.Dial.Protocol.alpn(),
		ClientSessionCache: c.shelf,
		MinVersion:         tls.VersionTLS12,
		MaxVersion:         c.Dial.Version,
		VerifyConnection: func(state tls.ConnectionState) error {
			c.learn(state) // also where the handshake fails later on
			return nil
		},
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c.Facts.Asked, c.Facts.Late, c.Facts.Issuers = true, c.made, issuers(r.AcceptableCAs)
			if c.Dial.Certificate == nil {
				return &tls.Certificate{}, nil // none is shown
			}
			c.Facts.Shown = true
			return c.Dial.Certificate, nil
		},
	}
	if c.Dial.Protocol == H1 { // TLS 1.2 alone has it, and HTTP/2 forbids it (RFC 9113 section 9.2.1)
		config.Renegotiation = tls.RenegotiateOnceAsClient
	}
	if c.Dial.Once {
		config.ClientSessionCache, config.CurvePreferences = nil, []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	}
	if c.Dial.Version != 0 {
		config.MinVersion = c.Dial.Version
	}
	return config
}

// issuers is a digest over names, each with its length before it.
func issuers(names [][]byte) (sum [32]byte) {
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%d:%s", len(name), name)
	}
	h.Sum(sum[:0])
	return sum
}

func (c *Conn) learn(state tls.ConnectionState) {
	c.Facts.Version, c.Facts.Resumed, c.Facts.Chain = state.Version, state.DidResume, state.PeerCertificates
}

// Ticket returns the last session that the server gave, nil if it gave none. Under TLS 1.3 it comes with the first answers.
func (c *Conn) Ticket() *Ticket { return c.shelf.last.Load() }

// Usable reports whether a further request can be sent.
func (c *Conn) Usable() bool { return !c.dead }

// Do sends a request and waits for its answer. After an answer that is Closed the connection is of no further use.
func (c *Conn) Do(ctx context.Context, r *Request) Answer {
	if c.dead {
		return Answer{Failure: Closed, Detail: "connection closed", Closed: true}
	}
	deadline := time.Now().Add(c.limits.Answer)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	var a Answer
	if c.Dial.Protocol == H3 {
		a = c.doH3(ctx, deadline, r)
	} else {
		a = c.doTCP(ctx, deadline, r)
	}
	c.dead = a.Closed
	return a
}

// Listen waits, without a request, whether the server ends the connection, for as long as for an answer. The error says how it did; there is
// none where it keeps quiet or begins to talk. The connection is of no further use. Over HTTP/3 nothing is listened for.
func (c *Conn) Listen(ctx context.Context) error {
	if c.tcp == nil {
		return nil
	}
	c.dead = true
	c.tcp.SetDeadline(time.Now().Add(c.limits.Answer))
	stop := context.AfterFunc(ctx, func() { c.tcp.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := c.r.Peek(1)
	if kind, _ := FailureOf(err); kind == Timeout {
		return nil
	}
	return err
}

func (c *Conn) doTCP(ctx context.Context, deadline time.Time, r *Request) Answer {
	c.tcp.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.tcp.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if c.h2 != nil {
		return c.h2.do(r)
	}
	return c.doH1(r)
}

// Origins returns the payloads of the ORIGIN frames that came so far, and how many did not count: on another stream than 0, or with flags
// that RFC 8336 section 2.2 forbids.
func (c *Conn) Origins() (payloads [][]byte, ignored int) {
	switch {
	case c.h2 != nil:
		return c.h2.origins, c.h2.ignored
	case c.h3 != nil:
		return c.h3.origins()
	}
	return nil, 0
}

// Close closes the connection, without waiting for the server.
func (c *Conn) Close() {
	c.dead = true
	if c.h3 != nil {
		c.h3.close()
	}
	if c.tcp != nil {
		// No close_notify is waited for: a server that does not read must not hold the prober.
		c.tcp.SetDeadline(time.Now().Add(time.Second))
		c.tcp.Close()
	}
}
