package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/rawh3"
)

// TestMalformed has bytes that are no good request. Each is answered with a 4xx or 5xx, or the connection ends, and nobody else
// notices.
func TestMalformed(t *testing.T) {
	t.Parallel()
	s := play(t, shortLimits, "")
	stop := s.steady(t)
	long := strings.Repeat("x", 1<<20)
	tests := []struct {
		name, text string
		want       int // 0: the connection ends without an answer
	}{
		{"no HTTP", "hello\r\n\r\n", 400},
		{"no version", "GET /\r\n\r\n", 400},
		{"a version that is none", "GET / HTTP/x.y\r\nHost: shop.test\r\n\r\n", 400},
		{"HTTP/3 in text", "GET / HTTP/3.0\r\nHost: shop.test\r\n\r\n", 505},
		{"no method", " / HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"a method with a space behind", "GET  / HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"a control character in the target", "GET /\x01 HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"a bad escape in the target", "GET /%zz HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"a dot segment", "GET /../etc/passwd HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"an escaped dot segment", "GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: shop.test\r\n\r\n", 400},
		{"a field without colon", "GET / HTTP/1.1\r\nHost: shop.test\r\nnonsense\r\n\r\n", 400},
		{"a space before the colon", "GET / HTTP/1.1\r\nHost : shop.test\r\n\r\n", 400},
		{"a continued line first", "GET / HTTP/1.1\r\n Host: shop.test\r\n\r\n", 400},
		{"a NUL in a field", "GET / HTTP/1.1\r\nHost: shop.test\r\nX: a\x00b\r\n\r\n", 400},
		{"a CR in Host", "GET / HTTP/1.1\r\nHost: shop.test\rX: y\r\n\r\n", 400},
		{"a tab in Host", "GET / HTTP/1.1\r\nHost: shop\ttest\r\n\r\n", 400},
		{"raw UTF-8 in Host", "GET / HTTP/1.1\r\nHost: sh\u00f6p.test\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		{"a negative length", "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: -1\r\n\r\n", 400},
		{"a length that is none", "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0x1\r\n\r\na", 400},
		{"an unknown transfer coding", "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"chunked twice", "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
		{"a long field", "GET / HTTP/1.1\r\nHost: shop.test\r\nX: " + long + "\r\n\r\n", 431},
		{"a long target", "GET /" + long + " HTTP/1.1\r\nHost: shop.test\r\n\r\n", 414},
		{"many fields", "GET / HTTP/1.1\r\nHost: shop.test\r\n" + strings.Repeat("X: y\r\n", 200_000) + "\r\n", 431},
		{"the preface of HTTP/2 where HTTP/1.1 was agreed on", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
	}
	t.Run("text", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				for _, c := range []*h1{s.h1(t, shop), s.plaintext(t, "plain")} {
					if _, secured := c.Conn.(*tls.Conn); !secured && strings.HasPrefix(test.text, "PRI ") {
						c.close() // in plaintext it is how a client says that it knows of HTTP/2
						continue
					}
					got := statusOf(t, c, test.text)
					// In plaintext what is wrong with the path is behind the redirect.
					if _, secured := c.Conn.(*tls.Conn); got != test.want && (secured || got != 308) {
						t.Errorf("answered %d, want %d", got, test.want)
					}
					c.close()
				}
			})
		}
	})
	t.Run("HTTP on the TLS port", func(t *testing.T) {
		c := s.plaintext(t, "public")
		if got := statusOf(t, c, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); got != 400 {
			t.Errorf("answered %d", got)
		}
	})
	t.Run("TLS on the plaintext port", func(t *testing.T) {
		_, err := tls.Dial("tcp", s.at(t, "plain"), &tls.Config{RootCAs: s.pool, ServerName: "shop.test"})
		if err == nil || !strings.Contains(err.Error(), "not look like a TLS handshake") {
			t.Errorf("%v", err)
		}
	})
	t.Run("too much in HTTP/2", func(t *testing.T) {
		c := s.h2(t, shop)
		request := pseudo("https", "shop.test")
		for range 5000 {
			request = append(request, "x", "y") // a byte each, and 34 when they are counted (RFC 9113 section 6.5.2)
		}
		if r := c.send(t, nil, request...); r.status != 431 {
			t.Errorf("%d %s", r.status, r.below)
		}
	})
	t.Run("too much in HTTP/3", func(t *testing.T) {
		c := s.h3(t, shop)
		if r := c.send(t, "", rawh3.Get("shop.test", "/", rawh3.Field{"x", long[:100<<10]})...); r.status != 431 {
			t.Errorf("%d %s", r.status, r.below)
		}
	})
	for name, frames := range map[string]func(*http2.Framer){
		"DATA on no stream": func(f *http2.Framer) { f.WriteData(1, true, []byte("x")) },
		"an even stream":    func(f *http2.Framer) { f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2, EndHeaders: true}) },
		"a broken header block": func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Repeat([]byte{0xff}, 20), EndHeaders: true})
		},
		"a frame that is too long": func(f *http2.Framer) {
			f.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20))
		},
		"PUSH_PROMISE of a client": func(f *http2.Framer) {
			f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		},
	} {
		t.Run("HTTP/2: "+name, func(t *testing.T) {
			c, err := s.dialTLS(t, shop, "h2")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, http2.ClientPreface)
			f := http2.NewFramer(c, c)
			f.WriteSettings()
			frames(f)
			awaitClose(t, c)
		})
	}
	stop(1)
}

// statusOf sends bytes and returns the status of the answer, 0 where the connection ends without one. The server may answer and
// close before it has read all.
func statusOf(t testing.TB, c *h1, text string) int {
	t.Helper()
	go io.WriteString(c, text)
	line, err := c.r.ReadString('\n')
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("no answer within %v", patience)
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return 0
	}
	status, _ := strconv.Atoi(words[1])
	return status
}
