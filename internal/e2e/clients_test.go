package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh2"
	"github.com/usher-http/usher/internal/rawh3"
)

// A dial says how a connection is made.
type dial struct {
	listener string // empty: public
	sni      string // also the name that the certificate is verified against
	max      uint16 // TLS version; 0: what both have
	cert     *tls.Certificate
	sessions tls.ClientSessionCache
}

// on is a dial with nothing but a server name.
func on(sni string) dial { return dial{sni: sni} }

func (d dial) with(cert tls.Certificate) dial {
	d.cert = &cert
	return d
}

func (s *stage) tls(d dial, alpn ...string) *tls.Config {
	c := &tls.Config{RootCAs: s.pool, ServerName: d.sni, NextProtos: alpn, MaxVersion: d.max, ClientSessionCache: d.sessions}
	if d.cert != nil {
		c.Certificates = []tls.Certificate{*d.cert}
	}
	return c
}

func (s *stage) addressOf(t testing.TB, d dial) string {
	t.Helper()
	if d.listener == "" {
		d.listener = "public"
	}
	return s.at(t, d.listener)
}

// A reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // HTTP/1.1: the response says Connection: close
	// below is the stream error or close in place of a status.
	below string
}

// A client has one connection and sends requests on it.
type client interface {
	// get sends GET / or another path.
	get(t testing.TB, authority, path string) reply
	// post sends a body.
	post(t testing.TB, authority, path, body string) reply
	close()
}

// connect makes a connection of a protocol.
func (s *stage) connect(t testing.TB, proto string, d dial) client {
	t.Helper()
	switch proto {
	case "h1":
		return s.h1(t, d)
	case "h2":
		return s.h2(t, d)
	}
	return s.h3(t, d)
}

var protocols = []string{"h1", "h2", "h3"}

// h1 is a connection that carries text.
type h1 struct {
	net.Conn
	r *bufio.Reader
}

func newH1(t testing.TB, c net.Conn) *h1 {
	c.SetDeadline(time.Now().Add(patience)) // and again with each request: some connections live as long as a whole table of them
	t.Cleanup(func() { c.Close() })
	return &h1{c, bufio.NewReader(c)}
}

func (s *stage) h1(t testing.TB, d dial) *h1 {
	t.Helper()
	c, err := s.dialTLS(t, d, "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	return newH1(t, c)
}

func (s *stage) dialTLS(t testing.TB, d dial, alpn ...string) (*tls.Conn, error) {
	t.Helper()
	dialer := &net.Dialer{Timeout: patience}
	return tls.DialWithDialer(dialer, "tcp", s.addressOf(t, d), s.tls(d, alpn...))
}

// plaintext connects to the listener without TLS.
func (s *server) plaintext(t testing.TB, listener string) *h1 {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.at(t, listener), patience)
	if err != nil {
		t.Fatal(err)
	}
	return newH1(t, c)
}

// send sends text as it stands and reads a response to a request of the method.
func (c *h1) send(t testing.TB, method, text string) reply {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.receive(t, method)
}

func (c *h1) receive(t testing.TB, method string) reply {
	t.Helper()
	w, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return reply{below: "close"}
		}
		t.Fatal(err)
	}
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: w.StatusCode, header: w.Header, body: string(body), closes: w.Close}
}

func (c *h1) get(t testing.TB, authority, path string) reply {
	t.Helper()
	return c.send(t, "GET", fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, authority))
}

func (c *h1) post(t testing.TB, authority, path, body string) reply {
	t.Helper()
	return c.send(t, "POST", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", path, authority, len(body), body))
}

func (c *h1) close() { c.Close() }

// h2 is an HTTP/2 connection.
type h2 struct {
	*rawh2.Conn
	nc net.Conn
}

func (s *stage) h2(t testing.TB, d dial) *h2 {
	t.Helper()
	nc, err := s.dialTLS(t, d, "h2")
	if err != nil {
		t.Fatal(err)
	}
	if p := nc.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Fatalf("ALPN chose %q", p)
	}
	return newH2(t, nc)
}

func newH2(t testing.TB, nc net.Conn) *h2 {
	t.Helper()
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	c, err := rawh2.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &h2{c, nc}
}

// send sends pseudo-header fields and fields, names and values in turn.
func (c *h2) send(t testing.TB, body []byte, pairs ...string) reply {
	t.Helper()
	c.nc.SetDeadline(time.Now().Add(patience))
	w, err := c.Do(rawh2.Fields(pairs...), body)
	if err != nil {
		t.Fatal(err)
	}
	return replyOfH2(w)
}

func replyOfH2(w *rawh2.Response) reply {
	if w.Reset != nil {
		return reply{below: fmt.Sprintf("RST_STREAM (%v)", *w.Reset)}
	}
	return reply{status: w.Status, header: w.Header, body: string(w.Body)}
}

func (c *h2) get(t testing.TB, authority, path string) reply {
	t.Helper()
	return c.send(t, nil, ":method", "GET", ":scheme", "https", ":authority", authority, ":path", path)
}

func (c *h2) post(t testing.TB, authority, path, body string) reply {
	t.Helper()
	return c.send(t, []byte(body), ":method", "POST", ":scheme", "https", ":authority", authority, ":path", path)
}

func (c *h2) close() { c.Close() }

// h3 is an HTTP/3 connection.
type h3 struct{ *rawh3.Conn }

func (s *stage) h3(t testing.TB, d dial) *h3 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := rawh3.Dial(ctx, s.addressOf(t, d), s.tls(d), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &h3{c}
}

func (c *h3) send(t testing.TB, body string, fields ...rawh3.Field) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := c.Do(ctx, fields, body)
	return replyOfH3(t, w, err)
}

func replyOfH3(t testing.TB, w *rawh3.Response, err error) reply {
	t.Helper()
	var reset *quic.StreamError
	switch {
	case errors.As(err, &reset) && reset.Remote && reset.ErrorCode == rawh3.MessageError:
		return reply{below: "H3_MESSAGE_ERROR"}
	case err != nil:
		t.Fatal(err)
	}
	r := reply{status: w.Status, header: http.Header{}, body: string(w.Body)}
	for _, f := range w.Fields {
		if !strings.HasPrefix(f[0], ":") {
			r.header.Add(f[0], f[1])
		}
	}
	return r
}

func (c *h3) get(t testing.TB, authority, path string) reply {
	t.Helper()
	return c.send(t, "", rawh3.Get(authority, path)...)
}

func (c *h3) post(t testing.TB, authority, path, body string) reply {
	t.Helper()
	return c.send(t, body, rawh3.Request("POST", "https", authority, path)...)
}

func (c *h3) close() { c.Close() }
