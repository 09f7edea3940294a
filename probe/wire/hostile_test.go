package wire_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// patience is long beside the limits of these tests: nothing may take it.
const patience = 20 * time.Second

var (
	tight = wire.Limits{Connect: 3 * time.Second, Answer: 3 * time.Second, Header: 16 << 10, Body: 64 << 10}
	// What no time limit is to end has all the time of a slow machine.
	unhurried = wire.Limits{Connect: patience, Answer: patience, Header: tight.Header, Body: tight.Body}
)

// limitsFor are tight where a limit of time is what is wanted.
func limitsFor(want wire.Failure) wire.Limits {
	if want == wire.Timeout {
		return tight
	}
	return unhurried
}

// answersFor are limits for an answer: its handshake has all the time in any case.
func answersFor(want wire.Failure) wire.Limits {
	l := limitsFor(want)
	l.Connect = patience
	return l
}

// listen serves each connection with f, and closes it then.
func listen(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				f(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// secure is listen behind a TLS handshake.
func secure(t *testing.T, protocol string, f func(*tls.Conn)) netip.AddrPort {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "a.test")}, NextProtos: []string{protocol}}
	return listen(t, func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			f(s)
		}
	})
}

func open(t *testing.T, d wire.Dial) *wire.Conn {
	t.Helper()
	d.ServerName = "a.test"
	if d.Limits == (wire.Limits{}) {
		d.Limits = unhurried
	}
	c, err := wire.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// within fails a test that takes longer than the limits allow.
func within(t *testing.T, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

// That a port speaks plain HTTP is said as people say it: it is the usual mistake.
func TestPlainHTTPIsNamed(t *testing.T) {
	for answer, want := range map[string]string{"HTTP/1.1 400 Bad Request\r\n\r\n": "it speaks plain HTTP", "220 mail.test ESMTP\r\n": "first record does not look like a TLS handshake"} {
		address := listen(t, func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 512), 100)
			io.WriteString(c, answer)
		})
		_, err := wire.Open(t.Context(), wire.Dial{Address: address, Protocol: wire.H2, ServerName: "a.test"})
		if kind, detail := wire.FailureOf(err); kind != wire.NotTLS || detail != want {
			t.Errorf("%q: %s, %q, want %q", answer, kind, detail, want)
		}
	}
}

// A server that does anything but a handshake fails in a way that can be told.
func TestHostileHandshakes(t *testing.T) {
	gone := listen(t, func(net.Conn) {})
	refused := netip.MustParseAddrPort("127.0.0.1:1")
	for _, test := range []struct {
		name    string
		address netip.AddrPort
		want    wire.Failure
	}{
		{"nobody listens", refused, wire.Refused},
		{"closes at once", gone, wire.Closed},
		{"says nothing", listen(t, func(c net.Conn) { io.Copy(io.Discard, c) }), wire.Timeout},
		{"speaks plain HTTP", listen(t, func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 512), 100)
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), wire.NotTLS},
		{"closes in the middle", listen(t, func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 512), 100)
			c.Write([]byte{22, 3, 3, 0, 200, 2, 0, 0})
		}), wire.Closed},
		{"sends an alert", listen(t, func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 512), 100)
			c.Write([]byte{21, 3, 3, 0, 2, 2, 112})
		}), wire.Alert},
		{"an endless handshake message", listen(t, func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 512), 100)
			for record := append([]byte{22, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff}, make([]byte, 0x4000-4)...); ; {
				if _, err := c.Write(record); err != nil {
					return
				}
			}
		}), wire.Garbage},
		{"another protocol", secure(t, "http/1.1", func(*tls.Conn) {}), wire.NoProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			within(t, func() {
				_, err := wire.Open(t.Context(), wire.Dial{Address: test.address, Protocol: wire.H2, ServerName: "a.test", Limits: limitsFor(test.want)})
				if got, detail := wire.FailureOf(err); got != test.want || detail == "" {
					t.Errorf("%s %q (%v), want %s", got, detail, err, test.want)
				}
			})
		})
	}
}

func TestHostileH1(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(io.Writer)
		want   wire.Failure
		status int
	}{
		{"garbage", func(w io.Writer) { io.WriteString(w, "\x00\x01\x02 what is this\n\n") }, wire.Garbage, 0},
		{"nothing", func(io.Writer) {}, wire.Closed, 0},
		{"half a header", func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 OK\r\nA: b") }, wire.Closed, 0},
		{"a header of 10 MiB", func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\n")
			for range 10 << 10 {
				if _, err := io.WriteString(w, "X: "+strings.Repeat("y", 1020)+"\r\n"); err != nil {
					return
				}
			}
		}, wire.Garbage, 0},
		{"one endless line", func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, "HTTP/1.1 "+strings.Repeat("y", 1020)); err != nil {
					return
				}
			}
		}, wire.Garbage, 0},
		{"endless interim answers", func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
			}
		}, wire.Garbage, 0},
		{"an endless body", func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "", 200},
		{"a body that breaks off", func(w io.Writer) { io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") }, wire.Closed, 200},
		{"bad chunks", func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}, wire.Garbage, 200},
		{"a body drop by drop", func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
			for {
				if _, err := w.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond) // the drops are what is tested
			}
		}, wire.Timeout, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := secure(t, "http/1.1", func(c *tls.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				test.server(c)
			})
			within(t, func() {
				c := open(t, wire.Dial{Address: address, Protocol: wire.H1, Limits: answersFor(test.want)})
				a := c.Do(t.Context(), &wire.Request{Authority: "a.test"})
				check(t, c, &a, test.want, test.status)
			})
		})
	}
}

func check(t *testing.T, c *wire.Conn, a *wire.Answer, want wire.Failure, status int) {
	t.Helper()
	if a.Failure != want || a.Status != status {
		t.Errorf("%s %q, status %d; want %q, %d", a.Failure, a.Detail, a.Status, want, status)
	}
	if a.Size > int64(tight.Body) || len(a.Body) > wire.Keep {
		t.Errorf("%d bytes were read", a.Size)
	}
	if a.Failure != "" && a.Failure != wire.Reset && c.Usable() {
		t.Error("a broken connection counts as usable")
	}
}

// A peer is the server's side of HTTP/2, as wrong as it likes.
type peer struct {
	*http2.Framer
	w io.Writer
}

func (p *peer) headers(id uint32, end bool, fields ...string) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	rest := block.Bytes()
	first := rest[:min(len(rest), 16384)]
	rest = rest[len(first):]
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(rest) == 0, EndStream: end})
	for len(rest) > 0 {
		n := min(len(rest), 16384)
		if p.WriteContinuation(id, n == len(rest), rest[:n]) != nil {
			return
		}
		rest = rest[n:]
	}
}

func TestHostileH2(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(*peer)
		want   wire.Failure
		status int
	}{
		{"well-behaved", func(p *peer) { p.headers(1, true, ":status", "204") }, "", 204},
		{"HTTP/1.1", func(p *peer) { io.WriteString(p.w, "HTTP/1.1 400 Bad Request\r\n\r\n") }, wire.Garbage, 0},
		{"nothing", func(*peer) {}, wire.Closed, 0},
		{"GOAWAY", func(p *peer) { p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) }, wire.Closed, 0},
		{"GOAWAY behind the answer", func(p *peer) {
			p.WriteGoAway(1, http2.ErrCodeNo, nil)
			p.headers(1, true, ":status", "200")
		}, "", 200},
		{"a reset", func(p *peer) { p.WriteRSTStream(1, http2.ErrCodeProtocol) }, wire.Reset, 0},
		{"no status", func(p *peer) { p.headers(1, true, "a", "b") }, wire.Garbage, 0},
		{"a status that is no number", func(p *peer) { p.headers(1, true, ":status", "abc") }, wire.Garbage, 0},
		{"a header of 1 MiB", func(p *peer) {
			fields := []string{":status", "200"}
			for i := range 1024 {
				fields = append(fields, fmt.Sprintf("x-%d", i), strings.Repeat("~", 1000))
			}
			p.headers(1, true, fields...)
		}, wire.Garbage, 0},
		{"endless pings", func(p *peer) {
			for p.WritePing(false, [8]byte{}) == nil {
			}
		}, wire.Garbage, 0},
		{"endless interim answers", func(p *peer) {
			for range 100_000 {
				var block bytes.Buffer
				hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "103"})
				if p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}) != nil {
					return
				}
			}
		}, wire.Garbage, 0},
		{"an endless body", func(p *peer) {
			p.headers(1, false, ":status", "200")
			for p.WriteData(1, false, make([]byte, 16384)) == nil { // past the window, too
			}
		}, "", 200},
		{"a body that never ends", func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.WriteData(1, false, []byte("x"))
		}, wire.Timeout, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := secure(t, "h2", func(c *tls.Conn) {
				io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
				p := &peer{http2.NewFramer(c, c), c}
				for {
					f, err := p.ReadFrame()
					if err != nil {
						return
					}
					if f.Header().Type == http2.FrameHeaders {
						break
					}
				}
				p.WriteSettings()
				drained := make(chan struct{})
				go func() {
					io.Copy(io.Discard, c)
					close(drained)
				}()
				test.server(p)
				if test.want != wire.Timeout {
					c.CloseWrite()
				}
				<-drained // the client has closed
			})
			within(t, func() {
				c := open(t, wire.Dial{Address: address, Protocol: wire.H2, Limits: answersFor(test.want)})
				a := c.Do(t.Context(), &wire.Request{Authority: "a.test"})
				check(t, c, &a, test.want, test.status)
			})
		})
	}
}
