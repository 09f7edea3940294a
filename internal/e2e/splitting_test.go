package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A liar is an upstream whose answers to /row-N are rows of a table, as they stand; every other request gets a good answer, with
// its target as the content. It shares the recorder's parser of requests.
type liar struct {
	url  string
	rows []lie

	mu     sync.Mutex
	faults []string
	over   map[int]chan int // how many bytes of a row were written, once they have been; by the row's number
}

// A lie is an answer that is malformed, or good and followed by what nobody has asked for.
type lie struct {
	name string
	text string
	// endless is repeated behind the text until nobody takes it any more.
	endless string
	// late follows when the answer has been taken.
	late string
	// ends: the connection is closed behind it; else it goes on, with the next request that comes.
	ends   bool
	method string // empty: GET
	// want has the outcomes that are right, with bars between them: a status, one with "cut" behind it where the client can tell
	// that the answer is not whole, or "cut" alone where nothing came but that word.
	want  string
	body  string // of a 200; of one that is cut the beginning
	check func(http.Header) string
}

func newLiar(t testing.TB, rows []lie) *liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &liar{url: "http://" + l.Addr().String(), rows: rows, over: map[int]chan int{}}
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { l.Close() })
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			conns.Go(func() { u.serve(c) })
		}
	})
	return u
}

func (u *liar) serve(c net.Conn) {
	defer c.Close()
	in := strictReader{bufio.NewReader(c)}
	for {
		r, err := in.request(func() {})
		var fault strictError
		if errors.As(err, &fault) {
			u.mu.Lock()
			u.faults = append(u.faults, err.Error())
			u.mu.Unlock()
		}
		if err != nil {
			return
		}
		number, isRow := strings.CutPrefix(r.target, "/row-")
		if !isRow {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.target), r.target)
			continue
		}
		i, _ := strconv.Atoi(number)
		n, _ := io.WriteString(c, u.rows[i].text)
		if u.rows[i].endless != "" {
			n += endlessly(c, u.rows[i].endless)
		}
		if u.rows[i].late != "" {
			// Nothing says when the answer has been taken. A write of its own comes as bytes of their own, later or not.
			time.Sleep(20 * time.Millisecond)
			io.WriteString(c, u.rows[i].late)
		}
		u.written(i) <- n
		if u.rows[i].ends {
			return
		}
	}
}

// More than what all buffers on the way take.
const endless = 64 << 20

func endlessly(c net.Conn, text string) (sum int) {
	block := strings.Repeat(text, 1+(64<<10)/len(text))
	for sum < endless {
		n, err := io.WriteString(c, block)
		if sum += n; err != nil {
			break
		}
	}
	return sum
}

func (u *liar) written(i int) chan int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over[i] == nil {
		u.over[i] = make(chan int, 16)
	}
	return u.over[i]
}

const (
	ok        = "HTTP/1.1 200 OK\r\n"
	hello     = "Content-Length: 5\r\n\r\nhello"
	chunked   = ok + "Transfer-Encoding: chunked\r\n\r\n"
	poison    = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	orIsWhole = "502|200"
	broken    = "502|200 cut|cut"
)

func field(name, value string) func(http.Header) string {
	return func(h http.Header) string {
		if got := h[http.CanonicalHeaderKey(name)]; len(got) != 1 || got[0] != value {
			return fmt.Sprintf("%s is %q, want %q", name, got, value)
		}
		return ""
	}
}

func noField(names ...string) func(http.Header) string {
	return func(h http.Header) string {
		for _, name := range names {
			if got := h[http.CanonicalHeaderKey(name)]; len(got) > 0 {
				return fmt.Sprintf("passed on: %s: %q", name, got)
			}
		}
		return ""
	}
}

// RFC 9112 section 6.3: "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then the
// message framing is invalid and the recipient MUST treat it as an unrecoverable error [...] If it is in a response message received by a
// proxy, the proxy MUST close the connection to the server, discard the received response, and send a 502 (Bad Gateway) response to the
// client."
var lies = []lie{
	{name: "a good one", text: ok + hello, want: "200", body: "hello"},
	{name: "good chunks", text: chunked + "5\r\nhello\r\n0\r\n\r\n", want: "200", body: "hello"},
	{name: "an end by closing", text: ok + "\r\nhello", ends: true, want: "200", body: "hello"},
	{name: "HTTP/1.0, an end by closing", text: "HTTP/1.0 200 OK\r\n\r\nhello", ends: true, want: "200", body: "hello"},

	{name: "two lengths that differ", text: ok + "Content-Length: 5\r\nContent-Length: 9\r\n\r\nhello" + poison, want: "502"},
	{name: "two lengths that are equal", text: ok + "Content-Length: 5\r\n" + hello, want: orIsWhole, body: "hello"},
	{name: "a list of lengths", text: ok + "Content-Length: 5, 5\r\n\r\nhello", want: orIsWhole, body: "hello"},
	{name: "a list of lengths that differ", text: ok + "Content-Length: 5, 9\r\n\r\nhello" + poison, want: "502"},
	{name: "a length with a plus", text: ok + "Content-Length: +5\r\n\r\nhello", want: "502"},
	{name: "a length with a minus", text: ok + "Content-Length: -5\r\n\r\nhello", want: "502"},
	{name: "a length in hexadecimal", text: ok + "Content-Length: 0x5\r\n\r\nhello", want: "502"},
	{name: "a length of nothing", text: ok + "Content-Length:\r\n\r\nhello", ends: true, want: "502"},
	{name: "a length past 63 bits", text: ok + "Content-Length: 18446744073709551621\r\n\r\nhello", want: "502"},
	// "A recipient that receives [both] ought to [...] handled as an error": by the chunks and never again on this connection, or not at all.
	{name: "chunks and a length", text: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + poison, want: orIsWhole, body: "hello"},
	{name: "chunks and a short length", text: ok + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + poison, want: orIsWhole, body: "hello"},
	{name: "an unknown coding", text: ok + "Transfer-Encoding: x\r\n" + hello, want: "502"},
	{name: "a coding before chunks", text: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: "502"},
	{name: "chunks twice", text: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: "502"},
	{name: "a coding that is obscured", text: ok + "Transfer-Encoding: \x0bchunked\r\n" + hello, want: "502"},
	{name: "HTTP/1.0 with chunks", text: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ends: true, want: orIsWhole, body: "hello"},

	{name: "bare LFs", text: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", want: orIsWhole, body: "hello"},
	{name: "a bare LF between fields", text: ok + "X: y\nInjected: yes\r\n" + hello, want: "502|200", body: "hello"},
	{name: "a bare CR in a value", text: ok + "X: y\rInjected: yes\r\n" + hello, want: "502"},
	{name: "a bare CR behind the status line", text: "HTTP/1.1 200 OK\rX: y\r\n" + hello, want: orIsWhole, body: "hello", check: noField("x")},
	{name: "a NUL in a value", text: ok + "X: a\x00b\r\n" + hello, want: "502"},
	{name: "a form feed in a value", text: ok + "X: a\x0cb\r\n" + hello, want: "502"},
	{name: "DEL in a value", text: ok + "X: a\x7fb\r\n" + hello, want: "502"},
	// RFC 9112 section 5.2: "A proxy or gateway that receives an obs-fold in a response message [...] MUST either discard the message and
	// replace it with a 502 (Bad Gateway) response [...] or replace each received obs-fold with one or more SP octets".
	{name: "a continued line", text: ok + "X: a\r\n b\r\n" + hello, want: orIsWhole, body: "hello", check: field("x", "a b")},
	{name: "a continued line first", text: ok + " X: a\r\n" + hello, want: "502"},
	// RFC 9112 section 5.1: "A proxy MUST remove any such whitespace from a response message before forwarding the message downstream."
	{name: "a space before the colon", text: ok + "X : y\r\n" + hello, want: orIsWhole, body: "hello", check: field("x", "y")},
	{name: "a space before the length's colon", text: ok + "Content-Length : 5\r\n\r\nhello", ends: true, want: orIsWhole, body: "hello"},
	{name: "no colon", text: ok + "Xy\r\n" + hello, want: "502"},
	{name: "no name", text: ok + ": y\r\n" + hello, want: "502"},
	{name: "a space in a name", text: ok + "X Y: z\r\n" + hello, want: orIsWhole, body: "hello", check: noField("x y")},
	{name: "a name past ASCII", text: ok + "X\xf6: z\r\n" + hello, want: "502"},
	{name: "a value past ASCII", text: ok + "X: \xc3\xb6\r\n" + hello, want: "200", body: "hello", check: field("x", "\xc3\xb6")},

	{name: "no HTTP", text: "hello\r\n\r\n", ends: true, want: "502"},
	{name: "another protocol", text: "ICY 200 OK\r\n" + hello, want: "502"},
	{name: "another version", text: "HTTP/2.0 200 OK\r\n" + hello, want: orIsWhole, body: "hello"},
	{name: "a version that is none", text: "HTTP/1.x 200 OK\r\n" + hello, want: "502"},
	{name: "a status of two digits", text: "HTTP/1.1 20 OK\r\n" + hello, want: "502"},
	{name: "a status of four digits", text: "HTTP/1.1 2000 OK\r\n" + hello, want: "502"},
	{name: "a status with a sign", text: "HTTP/1.1 +20 OK\r\n" + hello, want: "502"},
	{name: "a status below 100", text: "HTTP/1.1 099 OK\r\n" + hello, want: "502"},
	{name: "a status of letters", text: "HTTP/1.1 abc OK\r\n" + hello, want: "502"},
	{name: "two spaces before the status", text: "HTTP/1.1  200 OK\r\n" + hello, want: orIsWhole, body: "hello"},
	{name: "no reason", text: "HTTP/1.1 200\r\n" + hello, want: "200", body: "hello"},
	{name: "an empty reason", text: "HTTP/1.1 200 \r\n" + hello, want: "200", body: "hello"},
	{name: "an empty line before", text: "\r\n" + ok + hello, want: orIsWhole, body: "hello"},
	{name: "nothing", ends: true, want: "502"},
	{name: "a part of the status line", text: "HTTP/1.1 2", ends: true, want: "502"},
	{name: "a part of the fields", text: ok + "X: y\r\n", ends: true, want: "502"},
	{name: "TLS", text: "\x15\x03\x01\x00\x02\x02\x0a", ends: true, want: "502"},

	{name: "101 that nobody asked for", text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + poison, want: "502"},
	{name: "421", text: "HTTP/1.1 421 Misdirected Request\r\n" + hello, want: "502"},
	{name: "an interim answer", text: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + hello, want: "200", body: "hello"},
	{name: "an interim answer with a length", text: "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + ok + hello, want: orIsWhole, body: "hello"},
	{name: "an interim answer that is malformed", text: "HTTP/1.1 103 Early Hints\r\nX: a\rb\r\n\r\n" + ok + hello, want: "502"},
	{name: "interim answers and no end", text: "HTTP/1.1 103 Early Hints\r\n\r\n", ends: true, want: "502"},
	{name: "interim answers without end", endless: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", want: "502|504"},
	{name: "fields without end", text: ok, endless: "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", want: "502"},
	{name: "a field without end", text: ok + "X: ", endless: "y", want: "502"},
	{name: "a status line without end", text: "HTTP/1.1 200 ", endless: "y", want: "502"},
	{name: "a chunk extension without end", text: chunked + "5;", endless: "y", want: broken},
	{name: "trailers without end", text: chunked + "5\r\nhello\r\n0\r\n", endless: "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", want: broken, body: "hello"},

	{name: "a length that is not reached", text: ok + "Content-Length: 9\r\n\r\nhello", ends: true, want: broken, body: "hello"},
	{name: "chunks that break off", text: chunked + "5\r\nhello\r\n", ends: true, want: broken, body: "hello"},
	{name: "chunks that break off in the last one", text: chunked + "5\r\nhello\r\n0\r\n", ends: true, want: broken, body: "hello"},
	{name: "a chunk size that is none", text: chunked + "5\r\nhello\r\nx\r\n", want: broken, body: "hello"},
	{name: "a chunk size in other notation", text: chunked + "0x5\r\nhello\r\n0\r\n\r\n", want: broken},
	{name: "a chunk size with a plus", text: chunked + "+5\r\nhello\r\n0\r\n\r\n", want: broken},
	{name: "a chunk size past 64 bits", text: chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n", want: broken},
	{name: "a chunk extension with a bare LF", text: chunked + "5;\nhello\r\n0\r\n\r\n", want: broken},
	{name: "a chunk that a bare LF ends", text: chunked + "5\r\nhello\n0\r\n\r\n", want: broken, body: "hello"},
	{name: "more in a chunk than it says", text: chunked + "3\r\nhello\r\n0\r\n\r\n", want: broken, body: "hel"},
	{name: "trailers that are malformed", text: chunked + "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n", want: broken, body: "hello"},

	{name: "an answer behind the answer", text: ok + hello + poison, want: "200", body: "hello"},
	{name: "an answer behind the last chunk", text: chunked + "5\r\nhello\r\n0\r\n\r\n" + poison, want: "200", body: "hello"},
	{name: "one byte behind the answer", text: ok + hello + "x", want: "200", body: "hello"},
	{name: "an empty line behind the answer", text: ok + hello + "\r\n", want: "200", body: "hello"},
	{name: "an answer that comes unasked", text: ok + hello, late: poison, want: "200", body: "hello"},
	{name: "a time-out that comes unasked", text: ok + hello, late: "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", ends: true, want: "200", body: "hello"},
	{name: "content behind 204", text: "HTTP/1.1 204 No Content\r\n\r\n" + poison, want: "204"},
	{name: "a length in 204", text: "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n" + poison, want: "204|502", check: noField("content-length")},
	{name: "chunks in 204", text: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n", want: "204|502"},
	{name: "content behind 304", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n" + poison, want: "304"},
	{name: "content behind HEAD", method: "HEAD", text: ok + hello, want: "200", check: field("content-length", "5")},
	{name: "an answer behind HEAD", method: "HEAD", text: ok + "Content-Length: 5\r\n\r\n" + poison, want: "200", check: field("content-length", "5")},

	{name: "fields about the connection", text: ok + "Connection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nAlt-Svc: x\r\nTE: x\r\n" + hello,
		want: "200", body: "hello", check: noField("x-mine", "keep-alive", "proxy-connection", "upgrade", "te")},
	{name: "a length that Connection names", text: ok + "Connection: content-length\r\n" + hello, want: orIsWhole, body: "hello"},
	{name: "trailers about the framing", text: chunked + "5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", want: broken + "|200", body: "hello",
		check: func(h http.Header) string {
			if h.Get("Content-Length") == "5" { // put in by the gateway, which had all of it
				h.Del("Content-Length")
			}
			return noField("content-length", "transfer-encoding")(h)
		}},
}

// TestSplitting has upstreams that answer with what others may take for more than one answer, or for another one. The client gets 502,
// or can tell that the answer is not whole; nobody else notices.
func TestSplitting(t *testing.T) {
	t.Parallel()
	u := newLiar(t, lies)
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "a", "a.test")
	s := &stage{c, serve(t, c.dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout}
timeouts: {first_byte: 3s}
state: ./state
sites:
  - {name: a, hosts: [a.test], tls: {certificates: [{certificate: a.pem, key: a.key}]}, upstream: %q}
`, u.url))}
	text, frames := &splitH1{stage: s, owner: t}, &splitH2{stage: s, owner: t}
	clean := s.h2(t, on("a.test"))
	for i, row := range lies {
		for proto, ask := range map[string]func(testing.TB, string, string) (string, reply){"h1": text.ask, "h2": frames.ask} {
			t.Run(proto+"/"+row.name, func(t *testing.T) {
				method := row.method
				if method == "" {
					method = "GET"
				}
				outcome, r := ask(t, method, fmt.Sprintf("/row-%d", i))
				select {
				case n := <-u.written(i):
					if n >= endless {
						t.Errorf("%d bytes of what has no end were taken", n)
					}
				case <-time.After(patience):
					t.Fatal("the upstream was not asked, or is stuck")
				}
				if !slices.Contains(strings.Split(row.want, "|"), outcome) {
					t.Errorf("%s with %q %.200q, want %s", outcome, r.header, r.body, row.want)
				}
				switch {
				case outcome == "200" && r.body != row.body:
					t.Errorf("content %q, want %q", r.body, row.body)
				case outcome == "200 cut" && !strings.HasPrefix(row.body, r.body):
					t.Errorf("content %q, want the beginning of %q", r.body, row.body)
				case strings.Contains(r.body, "poison"):
					t.Errorf("content %q", r.body)
				}
				if row.check != nil && outcome != "502" {
					if wrong := row.check(r.header); wrong != "" {
						t.Error(wrong)
					}
				}
				// The next ones, on this connection and on another one.
				next := fmt.Sprintf("/next-%s-%d", proto, i)
				if outcome, r := ask(t, "GET", next); outcome != "200" || r.body != next {
					t.Errorf("the next request got %s %q", outcome, r.body)
				}
				for range 2 {
					if r := clean.get(t, "a.test", next); r.status != 200 || r.body != next {
						t.Errorf("the next client got %d %s %q", r.status, r.below, r.body)
					}
				}
			})
		}
	}
	for _, f := range u.faults {
		t.Errorf("what the upstream got is malformed: %s", f)
	}
}

// splitH1 asks on one connection of HTTP/1.1 as long as that is good.
type splitH1 struct {
	*stage
	owner testing.TB // its connections outlive a subtest
	c     *h1
}

func (p *splitH1) ask(t testing.TB, method, path string) (outcome string, r reply) {
	t.Helper()
	if p.c == nil {
		p.c = p.h1(p.owner, on("a.test"))
	}
	p.c.SetDeadline(time.Now().Add(patience))
	if p.c.r.Buffered() > 0 {
		rest, _ := p.c.r.Peek(p.c.r.Buffered())
		t.Errorf("behind the last answer came %.200q", rest)
	}
	fmt.Fprintf(p.c, "%s %s HTTP/1.1\r\nHost: a.test\r\n\r\n", method, path)
	var w *http.Response
	for w == nil || w.StatusCode < 200 {
		var err error
		if w, err = http.ReadResponse(p.c.r, &http.Request{Method: method}); err != nil {
			p.c.Close()
			p.c = nil
			return "cut", reply{}
		}
	}
	body, err := io.ReadAll(w.Body)
	outcome = strconv.Itoa(w.StatusCode)
	if err != nil {
		outcome += " cut"
	}
	if w.Close || err != nil {
		p.c.Close()
		p.c = nil
	}
	return outcome, reply{status: w.StatusCode, header: w.Header, body: string(body)}
}

// splitH2 asks on one connection of HTTP/2.
type splitH2 struct {
	*stage
	owner testing.TB
	c     *wire
	id    uint32
}

func (p *splitH2) ask(t testing.TB, method, path string) (outcome string, r reply) {
	t.Helper()
	if p.c == nil {
		p.c, p.id = p.wire(p.owner, on("a.test")), 1
	}
	p.c.SetDeadline(time.Now().Add(patience))
	defer func() { p.id += 2 }()
	if err := p.c.request(p.id, true, ":method", method, ":scheme", "https", ":authority", "a.test", ":path", path); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(p.c.outcome(t, p.id))
	s := p.c.await(t, p.id)
	r = reply{status: s.status, header: http.Header{}, body: string(s.body)}
	for _, f := range append(s.fields, s.trailers...) {
		r.header.Add(f.Name, f.Value)
	}
	switch outcome = words[0]; {
	case s.status == 0:
		return "cut", r
	case len(words) > 1:
		outcome += " cut"
	}
	return outcome, r
}
