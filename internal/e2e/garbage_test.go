package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
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
		{"a long target", "GET /" + long + " HTTP/1.1\r\nHost: shop.test\r\n\r\n", 431},
		{"many fields", "GET / HTTP/1.1\r\nHost: shop.test\r\n" + strings.Repeat("X: y\r\n", 200_000) + "\r\n", 431},
		{"the preface of HTTP/2 where HTTP/1.1 was agreed on", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
	}
	t.Run("text", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				for _, c := range []*h1{s.h1(t, shop), s.plaintext(t, "plain")} {
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

// TestGarbage: two thousand connections of nonsense, from several sides at once, leave nothing behind.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := play(t, shortLimits, "")
	stop := s.steady(t)
	flood(t, s, 600) // what a server needs once, it has afterwards
	eventually(t, "the first connections are gone", func() bool { return s.gauge(t, "process_open_fds") < 60 })
	before, goroutines, files := resident(t, s.cmd.Process.Pid), s.gauge(t, "go_goroutines"), s.gauge(t, "process_open_fds")
	flood(t, s, 2000)
	// The steady client's connections are left, one for each protocol.
	eventually(t, "the connections are gone", func() bool {
		open := 0.0
		for _, n := range s.metrics(t, "usher_connections") {
			count, err := strconv.ParseFloat(n, 64)
			if err != nil {
				t.Fatal(err)
			}
			open += count
		}
		const some = 10 // those that come and go anyway: the admin listener's, quic-go's
		return open == float64(len(protocols)) && s.gauge(t, "go_goroutines") <= goroutines+some && s.gauge(t, "process_open_fds") <= files+some
	})
	after := resident(t, s.cmd.Process.Pid)
	t.Logf("resident: %d KiB before, %d KiB after", before>>10, after>>10)
	// A connection of HTTP/2 needs 45 KiB, so that two thousand that stay would need twice as much.
	if grown := after - before; grown > 64<<20 {
		t.Errorf("2,000 connections left %d KiB behind", grown>>10)
	}
	stop(1)
}

func (s *server) gauge(t testing.TB, name string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(s.metrics(t, name)[name], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flood makes n connections that do no good.
func flood(t testing.TB, s *stage, n int) {
	t.Helper()
	public, plain := s.at(t, "public"), s.at(t, "plain")
	config := s.tls(shop, "h2", "http/1.1")
	work := make(chan int)
	var sides sync.WaitGroup
	for range 8 {
		sides.Go(func() {
			for i := range work {
				nonsense(i, public, plain, config)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	sides.Wait()
}

// nonsense is one connection. Its errors are what it is for.
func nonsense(i int, public, plain string, config *tls.Config) {
	junk := make([]byte, 1200)
	rand.Read(junk)
	network, at := "tcp", public
	switch i % 8 {
	case 0:
		network = "udp"
		junk[0] |= 0xc0 // looks like the first packet of a connection
		copy(junk[1:], []byte{0, 0, 0, 1, 8})
	case 1:
		at = plain
	case 2:
		copy(junk, []byte{22, 3, 1, 4, 0, 1, 0, 3, 252, 3, 3})
	case 3:
		junk = []byte("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	case 4:
		junk = nil
	}
	c, err := net.DialTimeout(network, at, patience)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	switch i % 8 {
	case 5, 6:
		// Nonsense inside TLS.
		secured := tls.Client(c, config)
		if secured.Handshake() != nil {
			return
		}
		secured.Write(junk)
		if i%8 == 5 {
			io.Copy(io.Discard, secured)
		}
		return
	case 7:
		// Closed hard in the middle of a handshake.
		c.Write([]byte{22, 3, 1, 2, 0, 1})
		c.(*net.TCPConn).SetLinger(0)
		return
	}
	c.Write(junk)
	if network == "tcp" && junk != nil && i%8 != 2 {
		io.Copy(io.Discard, c)
	}
}

// resident is the memory of a process in bytes.
func resident(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("this system does not tell what a process needs: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
