package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
)

const hello = ok + "Content-Length: 5\r\n\r\nhello"

// RFC 9110 section 9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests." A connection that was used before and ends
// before the first byte of the answer says nothing about whether the request was carried out.
func TestStaleConnection(t *testing.T) {
	for _, test := range []struct {
		name  string
		r     func() *message.Request
		stale string // what the server says on the used connection before it closes it
		want  string
		dials int
	}{
		{"GET", func() *message.Request { return get("/") }, "", `200 "fresh"`, 2},
		{"HEAD", func() *message.Request { r := get("/"); r.Method = "HEAD"; return r }, "", `200 ""`, 2},
		{"DELETE", func() *message.Request { return send("DELETE", 0, nil) }, "", `200 "fresh"`, 2},
		{"POST", func() *message.Request { return send("POST", 0, nil) }, "", "error closed", 1},
		{"PATCH", func() *message.Request { return send("PATCH", 0, nil) }, "", "error closed", 1},
		{"PROPFIND", func() *message.Request { return send("PROPFIND", 0, nil) }, "", "error closed", 1},
		{"PUT at hand", func() *message.Request { return send("PUT", 5, &atHand{pieces{left: []string{"again"}}}) }, "", `200 "fresh"`, 2},
		{"PUT in chunks at hand", func() *message.Request { return send("PUT", -1, &atHand{pieces{left: []string{"again"}}}) }, "", `200 "fresh"`, 2},
		{"PUT", func() *message.Request { return send("PUT", 5, &pieces{left: []string{"ag", "ain"}}) }, "", `200 "fresh"`, 2},
		{"PUT in chunks", func() *message.Request { return send("PUT", -1, &pieces{left: []string{"ag", "ain"}}) }, "", `200 "fresh"`, 2},
		{"PUT of more than is kept", func() *message.Request {
			return send("PUT", -1, &pieces{left: []string{strings.Repeat("a", maxKept), "b"}})
		}, "", "error closed", 1},
		{"POST at hand", func() *message.Request { return send("POST", 5, &atHand{pieces{left: []string{"again"}}}) }, "", "error closed", 1},
		{"a byte of an answer", func() *message.Request { return get("/") }, "H", "error closed", 1},
		{"an interim answer", func() *message.Request { return get("/") }, "HTTP/1.1 102 Processing\r\n\r\n", "error closed", 1},
		{"408 for the connection", func() *message.Request { return get("/") }, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", `200 "fresh"`, 2},
		{"408 for a PUT with content", func() *message.Request { return send("PUT", 5, &atHand{pieces{left: []string{"again"}}}) },
			"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", `408 ""`, 1},
		{"408 for a POST", func() *message.Request { return send("POST", 0, nil) }, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", "error closed", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(n int, c *peer) {
				if n == 2 {
					head, _ := c.head()
					switch {
					case strings.Contains(head, "chunked"):
						if got := string(readChunks(c)); got != "again" {
							t.Errorf("%q was sent again", got)
						}
					case strings.Contains(head, "content-length: 5"):
						c.want("again")
					}
					c.say(ok + "Content-Length: 5\r\n\r\n")
					if !strings.HasPrefix(head, "HEAD") {
						c.say("fresh")
					}
					c.head()
					return
				}
				c.head()
				c.say(hello)
				head, _ := c.head()
				switch {
				case strings.Contains(head, "chunked"):
					readChunks(c)
				case strings.Contains(head, "content-length: 5"):
					c.want("again")
				}
				c.say(test.stale)
			})
			if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` {
				t.Fatal(got)
			}
			if got := answer(s.Do(new(Call), test.r())); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if n := sc.dialled(); n != test.dials {
				t.Errorf("%d connections, want %d", n, test.dials)
			}
		})
	}
}

// A connection that is fresh is not stale: its end is an error, and the request is not sent again.
func TestFreshConnectionThatEnds(t *testing.T) {
	s, sc := newScripted(t, Config{}, func(_ int, c *peer) { c.head() })
	if got := answer(s.Do(new(Call), get("/"))); got != "error closed" || sc.dialled() != 1 {
		t.Error(got, sc.dialled())
	}
}

// Where nothing of the request was sent, any method is sent again.
func TestNothingWasSent(t *testing.T) {
	for name, body := range map[string]message.Body{"none": nil, "at hand": &atHand{pieces{left: []string{"again"}}}, "to come": &pieces{left: []string{"again"}}} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			s, sc := newScripted(t, Config{}, func(n int, c *peer) {
				head, _ := c.head()
				if n == 2 && body != nil {
					c.want("again")
				}
				if n == 2 && !strings.HasPrefix(head, "POST") {
					t.Errorf("%q", head)
				}
				c.say(hello)
				if n == 2 {
					c.head()
					return
				}
				c.Close()
				close(closed)
			})
			if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` {
				t.Fatal(got)
			}
			<-closed
			arrived(t, s)
			length := int64(0)
			if body != nil {
				length = 5
			}
			if got := answer(s.Do(new(Call), send("POST", length, body))); got != `200 "hello"` || sc.dialled() != 2 {
				t.Error(got, sc.dialled())
			}
		})
	}
}

// halfSent is a server that answers, and to which writing fails all the same.
type halfSent struct{ canned }

func (c *halfSent) Write(p []byte) (int, error) { return len(p) / 2, io.ErrShortWrite }

// An answer to a request that was not sent to its end is delivered; what is sent next on that connection would be taken for the rest.
func TestAnswerToHalfARequest(t *testing.T) {
	dials := 0
	s := NewServer(Config{Address: "upstream.test:80", Dial: func(context.Context, string, string) (net.Conn, error) {
		dials++
		return &halfSent{canned{left: []byte(hello + hello), cut: len(hello)}}, nil
	}})
	for i := range 2 {
		if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` || dials != i+1 {
			t.Error(got, dials)
		}
	}
}

// A true socket is looked at before it is used again: a server that has closed it, and bytes that nobody asked for, are noticed without
// the next request being sent there, so that a POST is safe too.
func TestBytesOnAnIdleConnection(t *testing.T) {
	for name, idle := range map[string]func(c net.Conn){
		"closed":       func(c net.Conn) { c.Close() },
		"a new answer": func(c net.Conn) { io.WriteString(c, ok+"Content-Length: 4\r\n\r\nevil") },
		"one byte":     func(c net.Conn) { io.WriteString(c, "\n") },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conns := make(chan net.Conn)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						close(conns)
						return
					}
					conns <- c
				}
			}()
			s := NewServer(Config{Address: l.Addr().String()})
			defer s.CloseIdle()
			serve := func(c net.Conn, in *bufio.Reader, content string) {
				p := &peer{c, in, t}
				if head, okay := p.head(); !okay {
					t.Errorf("%q was sent", head)
				}
				p.say(ok + "Content-Length: 5\r\n\r\n" + content)
			}
			var first net.Conn
			served := make(chan struct{})
			go func() {
				first = <-conns
				serve(first, bufio.NewReader(first), "first")
				close(served)
			}()
			if got := answer(s.Do(new(Call), get("/"))); got != `200 "first"` {
				t.Fatal(got)
			}
			<-served
			idle(first)
			defer first.Close()
			arrived(t, s)
			go func() {
				second, ok := <-conns
				if !ok {
					return
				}
				defer second.Close()
				serve(second, bufio.NewReader(second), "fresh")
			}()
			if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "fresh"` {
				t.Error(got)
			}
		})
	}
}

// arrived waits until something has come on the one idle connection.
func arrived(t *testing.T, s *Server) {
	t.Helper()
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	if len(s.home.idle) != 1 {
		t.Fatalf("%d idle connections", len(s.home.idle))
	}
	c := s.home.idle[0]
	for deadline := time.Now().Add(20 * time.Second); c.quiet(); {
		if time.Now().After(deadline) {
			t.Fatal("nothing has come")
		}
	}
}

// A server may answer before it has read anything, that it has too much to do for example, and say no more then.
func TestAnswerBeforeTheRequest(t *testing.T) {
	said := make(chan struct{})
	s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
		c.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
		close(said)
		c.head()
	})
	dial := s.config.Dial
	s.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		<-said
		time.Sleep(10 * time.Millisecond) // for what was said to arrive, which is no condition of the test
		return c, err
	}
	if got := answer(s.Do(new(Call), get("/"))); got != `503 "busy"` {
		t.Error(got)
	}
}

// A request that does not go into the socket at once is sent to its end all the same.
func TestRequestLargerThanTheSocket(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", maxKept/16)
	s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
		for range 3 {
			time.Sleep(10 * time.Millisecond) // until it is full
			c.head()
			c.want(content)
			c.say(hello)
		}
	})
	dial := s.config.Dial
	s.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		}
		return c, err
	}
	for _, body := range []message.Body{&atHand{pieces{left: []string{content}}}, &taken{atHand: atHand{pieces{left: []string{content}}}}, &pieces{left: []string{content}}} {
		if got := answer(s.Do(new(Call), send("POST", int64(len(content)), body))); got != `200 "hello"` {
			t.Error(got)
		}
	}
}

// Content that was taken is sent again like other content, and only where it may be.
func TestTakenContent(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 2*worthTaking/16)
	for _, test := range []struct {
		method, want string
		dials        int
	}{{"PUT", `200 "hello"`, 2}, {"POST", "error closed", 1}} {
		s, sc := newScripted(t, Config{}, func(n int, c *peer) {
			if n == 1 {
				c.head()
				c.say(hello)
				c.head()
				c.want(content)
				return // stale
			}
			for range 2 {
				if head, _ := c.head(); !strings.Contains(head, fmt.Sprintf("content-length: %d\r\n", len(content))) {
					t.Errorf("%q", head)
				}
				c.want(content)
				c.say(hello)
			}
		})
		if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` {
			t.Fatal(got)
		}
		body := &taken{atHand: atHand{pieces{left: []string{content}}}}
		if got := answer(s.Do(new(Call), send(test.method, int64(len(content)), body))); got != test.want || body.times != 1 || sc.dialled() != test.dials {
			t.Errorf("%s: %s, taken %d times, %d connections", test.method, got, body.times, sc.dialled())
		}
		if test.dials == 1 {
			continue
		}
		// And what follows on that connection is sent as it should be.
		small := &taken{atHand: atHand{pieces{left: []string{content[:worthTaking], content[worthTaking:]}}}}
		if got := answer(s.Do(new(Call), send("POST", int64(len(content)), small))); got != `200 "hello"` || small.times != 1 {
			t.Errorf("%s, taken %d times", got, small.times)
		}
	}
}

// A connection that the server has closed is passed over for another one that rests.
func TestNextConnectionThatRests(t *testing.T) {
	closing := make(chan struct{})
	s, sc := newScripted(t, Config{}, func(n int, c *peer) {
		if n == 1 {
			numbered(n, c)
			return
		}
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2")
		<-closing
	})
	for i, res := range open(t, s, 2) { // the second one is used next
		if got, want := answer(res, nil), fmt.Sprintf("200 \"%d\"", i+1); got != want {
			t.Fatal(got)
		}
	}
	close(closing)
	c := s.home.idle[1]
	for limit := time.Now().Add(20 * time.Second); c.quiet() && time.Now().Before(limit); {
	}
	if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "1"` || sc.dialled() != 2 {
		t.Error(got, sc.dialled())
	}
}
