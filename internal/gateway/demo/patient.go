package demo

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialTLS makes a TLS connection and waits until the server has answered the handshake. In TLS 1.3 a client is done before
// the server has looked at its certificate: without waiting, the alert of a refusal may be lost behind the reset that
// requests written too early provoke.
func dialTLS(ctx context.Context, address string, t *tls.Config) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	p := &patient{Conn: raw}
	c := tls.Client(p, t)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	// A server of HTTP/2 begins with SETTINGS, and tickets come before anything else; one of HTTP/1.1 waits for us.
	if t.NextProtos[0] == "h2" || t.ClientSessionCache != nil {
		if err := p.wait(ctx); err != nil {
			raw.Close()
			return nil, err
		}
	}
	return c, nil
}

// A patient connection has read what comes first, and keeps it for whoever reads, even after the end.
type patient struct {
	net.Conn
	first []byte
}

// wait reads the server's first bytes after the handshake, encrypted as they are.
func (p *patient) wait(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		p.Conn.SetReadDeadline(end)
		defer p.Conn.SetReadDeadline(time.Time{})
	}
	b := make([]byte, 4096)
	n, err := p.Conn.Read(b)
	p.first = b[:n]
	return err
}

func (p *patient) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// whyEnded returns the error that ended a TLS connection. HTTP/2 has errors of its own for that, which do not tell the alert.
func whyEnded(c net.Conn) error {
	c.SetReadDeadline(time.Now().Add(time.Second))
	_, err := c.Read(make([]byte, 1))
	return err
}
