package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A connection sends requests for any host. What is sent on it is up to the script: it coalesces where browsers would,
// and where an attacker would.
type connection struct {
	number   int
	protocol string // "h1", "h2", "h3"
	host     string // that it was made for: the SNI, and the name that its certificate is verified against; empty: plaintext
	shown    bool   // a client certificate, if asked
	send     func(*http.Request) (*http.Response, error)
	close    func()
	tls      net.Conn // of HTTP/1.1 and HTTP/2; nil: none
}

// failure returns err, and what the TLS layer knows of its cause.
func (c *connection) failure(err error) error {
	if c.tls == nil {
		return err
	}
	return errors.Join(err, whyEnded(c.tls))
}

// An opening says how a connection is made.
type opening struct {
	protocol string
	host     string
	tickets  *ticketBox // nil: no resumption
	staff    bool       // with the client certificate
}

// end closes the connection, if there ever was one.
func (c *connection) end() {
	if c.close != nil {
		c.close()
	}
}

func (d *Demo) openInTime(ctx context.Context, o opening) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	return d.open(ctx, o)
}

// open makes a connection. It is returned beside an error too, for what it was to be.
func (d *Demo) open(ctx context.Context, o opening) (*connection, error) {
	c := &connection{protocol: o.protocol, host: o.host, shown: o.staff}
	if o.host == "" {
		return c, d.openTCP(ctx, c, nil)
	}
	t := &tls.Config{ServerName: o.host, RootCAs: d.roots.Pool(), MinVersion: tls.VersionTLS12}
	if o.tickets != nil {
		t.ClientSessionCache = o.tickets
	}
	if o.staff {
		cert, err := d.clientCertificate()
		if err != nil {
			return c, err
		}
		t.Certificates = []tls.Certificate{cert}
	}
	if o.protocol == "h3" {
		return c, d.openQUIC(ctx, c, t)
	}
	return c, d.openTCP(ctx, c, t)
}

var alpn = map[string]string{"h1": "http/1.1", "h2": "h2"}

// openTCP makes a connection of HTTP/1.1 or HTTP/2, over TLS if t is set.
func (d *Demo) openTCP(ctx context.Context, c *connection, t *tls.Config) error {
	scheme, address := "https", d.TLS
	if t == nil {
		scheme, address = "http", d.HTTP
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(c.protocol == "h1")
	tr.Protocols.SetHTTP2(c.protocol == "h2")
	if t != nil {
		t.NextProtos = []string{alpn[c.protocol]}
		tr.DialTLSContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			conn, err := dialTLS(ctx, address, t)
			if err == nil {
				c.tls = conn
			}
			return conn, err
		}
	}
	conn, err := tr.NewClientConn(ctx, scheme, address)
	if err != nil {
		return err
	}
	c.send = conn.RoundTrip
	c.close = func() { conn.Close() }
	return nil
}

func (d *Demo) openQUIC(ctx context.Context, c *connection, t *tls.Config) error {
	t.NextProtos = []string{http3.NextProtoH3}
	remote, err := net.ResolveUDPAddr("udp", d.TLS)
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: remote.IP})
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.Dial(ctx, remote, t, new(quic.Config))
	if err != nil {
		transport.Close()
		socket.Close()
		return err
	}
	c.send = new(http3.Transport).NewClientConn(conn).RoundTrip
	c.close = func() {
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		transport.Close()
		socket.Close()
	}
	return nil
}

// A ticketBox gives every handshake the last session ticket that any handshake got: what a client does that wants to
// resume one site's session at another.
type ticketBox struct {
	mu   sync.Mutex
	last *tls.ClientSessionState
}

func (b *ticketBox) Get(string) (*tls.ClientSessionState, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.last != nil
}

func (b *ticketBox) Put(_ string, s *tls.ClientSessionState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s != nil {
		b.last = s
	}
}
