package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/rawh3"
)

// Limits that are short, so that tests see them, and long enough for good clients on a slow machine.
const shortLimits = "timeouts: {handshake: 2s, header: 2s, idle: 3s, body: 3s, drain: 30s}"

// awaitClose reads until the server closes the connection, and returns what came before.
func awaitClose(t testing.TB, c net.Conn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is still open after %v; it said %.200q", patience, text)
	}
	return string(text)
}

// dripping writes text a byte at a time, until the server has had enough.
func dripping(c net.Conn, text string) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A slow client makes a connection and returns what waits for its end.
type slow struct {
	name string
	make func(*testing.T, *stage) (ended func(testing.TB))
}

var slowClients = []slow{
	{"nothing on the TLS port", func(t *testing.T, s *stage) func(testing.TB) { return closing(s.plaintext(t, "public")) }},
	{"nothing on the plaintext port", func(t *testing.T, s *stage) func(testing.TB) { return closing(s.plaintext(t, "plain")) }},
	{"half a ClientHello", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.plaintext(t, "public")
		c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
		return closing(c)
	}},
	{"a ClientHello by drops", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.plaintext(t, "public")
		go dripping(c, "\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03"+strings.Repeat("\x00", 16000))
		return closing(c)
	}},
	{"nothing after the handshake, HTTP/1.1", func(t *testing.T, s *stage) func(testing.TB) { return closing(s.h1(t, shop)) }},
	{"nothing after the handshake, HTTP/2", func(t *testing.T, s *stage) func(testing.TB) { return closing(s.secured(t, "h2")) }},
	{"nothing after the first request", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.h1(t, shop)
		c.get(t, "shop.test", "/")
		return closing(c)
	}},
	{"header fields by drops", func(t *testing.T, s *stage) func(testing.TB) { return drippingFields(s.h1(t, shop)) }},
	{"header fields by drops, in plaintext", func(t *testing.T, s *stage) func(testing.TB) {
		return drippingFields(s.plaintext(t, "plain"))
	}},
	{"an HTTP/2 preface and nothing", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.h2(t, shop)
		return func(t testing.TB) {
			if _, err := c.WaitGoAway(); err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
	}},
	{"an HTTP/2 header section without end", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.secured(t, "h2")
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}, EndStream: true})
		return closing(c)
	}},
	{"nothing after the handshake, HTTP/3", func(t *testing.T, s *stage) func(testing.TB) { return endingQUIC(s.h3(t, shop)) }},
	{"an HTTP/3 header section without end", func(t *testing.T, s *stage) func(testing.TB) {
		c := s.h3(t, shop)
		stream, err := c.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		frame := rawh3.HeadersFrame(rawh3.Get("shop.test", "/"))
		if err := stream.Raw(frame[:len(frame)-3]); err != nil {
			t.Fatal(err)
		}
		return endingQUIC(c)
	}},
}

func (s *stage) secured(t testing.TB, alpn string) net.Conn {
	t.Helper()
	c, err := s.dialTLS(t, shop, alpn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func closing(c net.Conn) func(testing.TB) { return func(t testing.TB) { awaitClose(t, c) } }

func drippingFields(c net.Conn) func(testing.TB) {
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n")
	go dripping(c, "X-Slow: y\r\n")
	return closing(c)
}

// endingQUIC waits for GOAWAY or the end of the connection.
func endingQUIC(c *h3) func(testing.TB) {
	return func(t testing.TB) {
		select {
		case <-c.GoAway():
		case <-c.QUIC.Context().Done():
		case <-afterPatience():
			t.Errorf("the connection is still open after %v", patience)
		}
	}
}

// TestSlowClients: "a client that sends nothing: a clear answer or a close within the time limits". All of them are slow at
// the same time.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := play(t, shortLimits, "")
	stop := s.steady(t)
	var waiting sync.WaitGroup
	for _, client := range slowClients {
		ended := client.make(t, s)
		began := time.Now()
		waiting.Go(func() {
			ended(named{t, client.name})
			t.Logf("%s: %v", client.name, time.Since(began).Round(100*time.Millisecond))
		})
	}
	waiting.Wait()
	stop(1)
}

// named puts the name of a client before its errors.
type named struct {
	testing.TB
	name string
}

func (n named) Error(args ...any) { n.TB.Errorf("%s: %s", n.name, fmt.Sprint(args...)) }
func (n named) Errorf(format string, args ...any) {
	n.TB.Errorf("%s: %s", n.name, fmt.Sprintf(format, args...))
}
