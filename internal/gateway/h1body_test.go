package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

func TestH1Expect(t *testing.T) {
	reads := make(chan bool)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if <-reads {
			text, _ := io.ReadAll(r.Body)
			w.Write(text)
		}
	})
	r := newFolder(t).start(t, proxied(up))
	c := r.wire1(t)
	// RFC 9110 section 10.1.1: "Upon receiving an HTTP/1.1 (or later) request that has a method, target URI, and complete header section
	// that contains a 100-continue expectation and indicates that request content will follow, an origin server MUST send either: an
	// immediate response with a final status code, [...] or an immediate 100 (Continue) response to encourage the client to send the
	// request content."
	c.say("POST / HTTP/1.1\r\nHOSTContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if got := c.hear("POST"); got.StatusCode != 100 {
		t.Fatalf("%d", got.StatusCode)
	}
	c.say("hello")
	reads <- true
	if got := c.hear("POST").want(t, 200, "hello"); got.Close {
		t.Error("the connection ends")
	}
	// "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the content".
	c.say("POST / HTTP/1.1\r\nHOSTContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
	reads <- true
	if got := c.hear("POST").want(t, 200, "hello"); got.Close {
		t.Error("the connection ends although all of the content was there")
	}
	// The guard answers without a look at the content: nobody knows whether it comes.
	c.say("POST / HTTP/1.1\r\nHost: other.test.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if got := c.hear("POST").want(t, 421, ""); !got.Close {
		t.Error("the connection goes on")
	}
	c.ended()
	c = r.wire1(t)
	c.say("POST / HTTP/1.1\r\nHOSTContent-Length: 5\r\nExpect: something\r\n\r\n")
	c.hear("POST").want(t, 417, "")
	c.ended()
}

// "A server that responds with a final status code instead of reading the entire request content SHOULD indicate whether it intends to
// close the connection" (RFC 9110 section 10.1.1). Little of it is taken in.
func TestH1UnreadContent(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := r.wire1(t)
	for _, head := range []string{"Content-Length: 200000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n30d40\r\n"} {
		c.say("POST / HTTP/1.1\r\nHOST%s", head)
		if got := c.hear("POST").want(t, 200, "site a"); got.Close {
			t.Fatal("the connection ends")
		}
		c.say("%s", strings.Repeat("x", 200_000))
		if strings.HasPrefix(head, "Transfer") {
			c.say("\r\n0\r\n\r\n")
		}
		c.say("GET / HTTP/1.1\r\nHOST\r\n")
		c.hear("GET").want(t, 200, "site a")
	}
	// Too much. The client, which sends all before it reads, gets the answer all the same (RFC 9112 section 9.6: "If the server receives
	// additional data from the client on a fully closed connection [...] the client's TCP stack will send a reset [...] which might erase
	// the client's unacknowledged input buffers before they can be read and interpreted by the client's HTTP parser").
	c.say("POST / HTTP/1.1\r\nHOSTContent-Length: 8000000\r\n\r\n%s", strings.Repeat("x", 8_000_000))
	if got := c.hear("POST").want(t, 200, "site a"); !got.Close {
		t.Error("the connection goes on")
	}
	c = r.wire1(t)
	c.say("POST / HTTP/1.1\r\nHOSTTransfer-Encoding: chunked\r\n\r\n%s", strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 40_000))
	c.hear("POST").want(t, 200, "site a")
	c.ended()
}

func TestH1Trailers(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	c.say("POST /1?flush HTTP/1.1\r\nHOSTTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\nForwarded: for=forged\r\nClient-Cert: :AA==:\r\n\r\n")
	got := c.hear("POST").want(t, 200, `POST /1 "ab" <nil>`)
	if got.Trailer.Get("X-Sum") != "1!" || len(got.Trailer) != 1 {
		t.Errorf("trailers %v", got.Trailer)
	}
}

// Content of every size and framing arrives as it was sent, whatever the buffers are.
func TestH1Content(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		if r.URL.Query().Has("flush") {
			http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Sum", fmt.Sprintf("%d %x", n, sum.Sum(nil)))
		var size int
		fmt.Sscan(r.URL.Query().Get("size"), &size)
		for i := 0; i < size; i += 1000 {
			w.Write(pattern(i, min(1000, size-i)))
		}
	})
	r := newFolder(t).start(t, proxied(up))
	c := r.wire1(t)
	for _, size := range []int{0, 1, 4095, 4096, 16100, 16384, 16385, 40_000, 300_000} {
		content := pattern(0, size)
		want := fmt.Sprintf("%d %x", size, sha256.Sum256(content))
		for _, chunked := range []bool{false, true} {
			var b bytes.Buffer
			fmt.Fprintf(&b, "POST /?size=%d HTTP/1.1\r\nHost: a.test.example\r\n", size)
			if chunked {
				b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
				for i, piece := range slices.Collect(slices.Chunk(content, 7777)) {
					fmt.Fprintf(&b, "%X;i=%d\r\n%s\r\n", len(piece), i, piece)
				}
				b.WriteString("0\r\n\r\n")
			} else {
				fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", size, content)
			}
			go c.Write(b.Bytes())
			got := c.hear("POST").want(t, 200, "")
			if got.Header.Get("X-Sum") != want {
				t.Errorf("%d bytes, chunked %v: the upstream got %q, want %q", size, chunked, got.Header.Get("X-Sum"), want)
			}
			if !bytes.Equal([]byte(got.text), content) {
				t.Errorf("%d bytes, chunked %v: %d bytes came back", size, chunked, len(got.text))
			}
		}
		c.say("GET /?flush&size=%d HTTP/1.1\r\nHOST\r\n", size)
		if got := c.hear("GET").want(t, 200, ""); !bytes.Equal([]byte(got.text), content) || !slices.Equal(got.TransferEncoding, []string{"chunked"}) {
			t.Errorf("%d bytes: %d bytes came back, coding %v", size, len(got.text), got.TransferEncoding)
		}
	}
}

// pattern is n bytes from a place in a text without repetitions nearby.
func pattern(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + i) * (at + i + 7) >> 3)
	}
	return b
}

// An upload that the client breaks off, or that turns out to be malformed, is answered.
func TestH1BrokenUpload(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	for _, text := range []string{
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA : b\r\n\r\n",
	} {
		c := r.wire1(t)
		c.say("POST / HTTP/1.1\r\nHOST%s", text)
		if got := c.hear("POST").want(t, 400, ""); !got.Close {
			t.Error("the connection goes on")
		}
		c.ended()
	}
	c := r.wire1(t)
	c.say("POST / HTTP/1.1\r\nHOSTContent-Length: 5\r\n\r\nabc")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	c.hear("POST").want(t, 400, "")
	c.ended()
}

// When the answer is complete nobody waits for the content any more; when it comes it is passed over. Where nobody knows how much it
// will be, the connection ends, as the answer says.
func TestH1StopsReading(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Connection", "close")
		}
		io.WriteString(w, "at once")
	})
	r := newFolder(t).start(t, proxied(up)+"timeouts: {body: 1h}\n")
	for _, test := range []struct {
		sent, rest string
		closes     bool
	}{
		{"Content-Length: 9\r\n\r\nabc", "defghi", false},
		{"Transfer-Encoding: chunked\r\n\r\n3\r\nab", "c\r\n0\r\n\r\n", true},
	} {
		c := r.wire1(t)
		c.say("POST /1 HTTP/1.1\r\nHOST%s", test.sent)
		if got := c.hear("POST").want(t, 200, "at once"); got.Close != test.closes {
			t.Fatalf("%q: close is %v", test.sent, got.Close)
		}
		eventually(t, "the request is logged", func() bool {
			return r.log.count("msg", "request", "path", "/1") > r.log.count("msg", "request", "path", "/2")
		})
		c.say("%sGET /2 HTTP/1.1\r\nHOST\r\n", test.rest)
		if test.closes {
			c.ended()
			continue
		}
		c.hear("GET").want(t, 200, "at once")
		eventually(t, "the request is logged", func() bool {
			return r.log.count("msg", "request", "path", "/1") == r.log.count("msg", "request", "path", "/2")
		})
	}
}

// An upstream that answers before it has the content ends the exchange; what is left of the content is not taken for a request.
func TestH1EarlyAnswer(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "no", http.StatusForbidden)
	})
	r := newFolder(t).start(t, proxied(up))
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test.example\r\n\r\n"
	for _, size := range []int{100_000, 4_000_000} {
		c := r.wire1(t)
		c.say("POST / HTTP/1.1\r\nHOSTContent-Length: %d\r\n\r\n", size)
		go io.WriteString(c, strings.Repeat(smuggled, size/len(smuggled)+1)[:size]+"GET /next HTTP/1.1\r\nHost: a.test.example\r\n\r\n")
		c.hear("POST").want(t, 403, "no")
		for {
			res, err := http.ReadResponse(c.in, nil)
			if err != nil {
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				break
			}
			io.Copy(io.Discard, res.Body)
			c.Close()
		}
	}
	if n := r.log.count("msg", "request", "path", "/smuggled"); n > 0 {
		t.Errorf("%d requests were made of content", n)
	}
}

// Where content is left of which nobody knows whether it will be taken in, the answer says that the connection ends: a client that was
// not told would lose its next request.
func TestH1EarlyAnswerSaysClose(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "early")
	})
	r := newFolder(t).start(t, proxied(up))
	for _, test := range []struct {
		head, sent string
		closes     bool
	}{
		{"Content-Length: 4000000", strings.Repeat("x", 1000), true},
		{"Transfer-Encoding: chunked", "3e8\r\n" + strings.Repeat("x", 1000), true},
		{"Content-Length: 100000", strings.Repeat("x", 1000), false},
	} {
		c := r.wire1(t)
		c.say("POST / HTTP/1.1\r\nHOST%s\r\n\r\n%s", test.head, test.sent)
		if got := c.hear("POST").want(t, 200, "early"); got.Close != test.closes {
			t.Errorf("%s: close is %v, want %v", test.head, got.Close, test.closes)
		}
		if !test.closes {
			c.say("%s", strings.Repeat("x", 99_000)+"GET / HTTP/1.1\r\nHOST\r\n")
			c.hear("GET").want(t, 200, "early")
		}
	}
}

// written is a connection that keeps what is written.
type written struct {
	net.Conn
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) { return w.text.Write(p) }

// A client is told once to send its content, and not once it has an answer, which a 100 would be taken for the next one's.
func TestH1ContinuesOnce(t *testing.T) {
	for _, test := range []struct {
		answered bool
		want     string
	}{{false, "HTTP/1.1 100 Continue\r\n\r\n"}, {true, ""}} {
		var w written
		rq := &h1exchange{c: &h1conn{nc: &w, raw: new(conn)}, expects: true}
		if test.answered {
			rq.Respond(200, nil, false)
		}
		rq.sendContinue()
		rq.sendContinue()
		if got := w.text.String(); got != test.want {
			t.Errorf("answered %v: %q, want %q", test.answered, got, test.want)
		}
	}
}

// An answer is framed by the gateway alone, and its content is the same whatever part of it is copied.
func TestH1Answers(t *testing.T) {
	content := pattern(0, 100_000)
	fields := message.Fields{{Name: "x", Value: "y"}, {Name: "connection", Value: "x"}, {Name: "transfer-encoding", Value: "gzip"},
		{Name: "upgrade", Value: "h2c"}, {Name: "keep-alive", Value: "5"}, {Name: "bad", Value: "a\r\nb: c"}}
	for _, test := range []struct {
		name, method string
		status       int
		length       string
		write        []byte
		want         string
	}{
		{"a length", "GET", 200, "100000", content, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n" + string(content)},
		{"chunks", "GET", 200, "", content, "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n186a0\r\n" + string(content) + "\r\n0\r\n\r\n"},
		// RFC 9110 section 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content in the response."
		{"HEAD", "HEAD", 200, "100000", content, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n"},
		// RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational)
		// or 204 (No Content)." RFC 9112 section 6.1: the same of Transfer-Encoding.
		{"204", "GET", 204, "5", content, "HTTP/1.1 204 No Content\r\nX: y\r\nConnection: close\r\n\r\n"},
		{"304", "GET", 304, "", content, "HTTP/1.1 304 Not Modified\r\nX: y\r\nConnection: close\r\n\r\n"},
		{"content that is too long", "GET", 200, "99999", content, ""},
		{"content that is too short", "GET", 200, "100001", content, ""},
	} {
		var w written
		rq := &h1exchange{c: &h1conn{nc: &w, raw: new(conn)}}
		rq.asked.Method, rq.asked.Minor = test.method, 1
		f := slices.Clone(fields)
		if test.length != "" {
			f = append(f, message.Field{Name: "content-length", Value: test.length})
		}
		rq.Respond(test.status, f, false)
		_, err := rq.Write(test.write)
		if err == nil {
			err = rq.Finish(nil)
		}
		rq.Flush()
		switch {
		case test.want == "" && (err == nil || rq.complete):
			t.Errorf("%s: no error", test.name)
		case test.want != "" && (err != nil || w.text.String() != test.want):
			t.Errorf("%s: %v, %.300q\nwant %.300q", test.name, err, w.text.String(), test.want)
		}
	}
}
