package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A smuggle2 is a request of HTTP/2 that would become another one, or two, if it were written down as HTTP/1.1 as it stands. ROW stands
// for a path of its own.
type smuggle2 struct {
	name   string
	fields []string // names and values; those that begin with a colon take the place of good ones, in their order
	exact  bool     // fields are all that is sent
	data   []string // DATA frames; nil: none
	// trailers follow the content.
	trailers []string
	// want has the outcomes that are right, as (*wire).outcome words them, with bars between them. With 200 the upstream has got one
	// request, whose form the recorder has checked, and which check looks at; with any other one it has got no complete one.
	want  string
	check func(r recorded) (wrong string)
}

// RFC 9113 section 8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error (Section 5.4.2) of type
// PROTOCOL_ERROR. For malformed requests, a server MAY send an HTTP response prior to closing or resetting the stream."
const illFormed = "RST_STREAM PROTOCOL_ERROR|400|400 RST_STREAM PROTOCOL_ERROR"

const crlf = "\r\nInjected: yes\r\nContent-Length: 0\r\n\r\nGET /stray HTTP/1.1\r\nHost: a.test\r\n\r\n"

var smuggles2 = []smuggle2{
	{name: "a good one", fields: []string{"x", "y"}, want: "200", check: having("x", "y")},
	{name: "a good body", data: []string{"hel", "lo"}, want: "200", check: asGood2("GET", "hello")},
	{name: "a good body with its length", fields: []string{":method", "POST", "content-length", "5"}, data: []string{"hel", "lo"}, want: "200", check: asPOST("hello")},
	{name: "good trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"x", "y"}, want: "200", check: func(r recorded) string {
		if !slices.Equal(r.trailers, []string{"x: y"}) {
			return fmt.Sprintf("trailers %q", r.trailers)
		}
		return asPOST("hello")(r)
	}},
	{name: "crumbs of a cookie", fields: []string{"cookie", "a=b", "cookie", "c=d"}, want: "200", check: having("cookie", "a=b; c=d")},

	// Section 8.2.1.
	{name: "upper case in a name", fields: []string{"X-Upper", "y"}, want: illFormed},
	{name: "a space in a name", fields: []string{"x y", "z"}, want: illFormed},
	{name: "a space behind a name", fields: []string{"transfer-encoding ", "chunked"}, want: illFormed},
	{name: "a colon in a name", fields: []string{"x: y\r\ninjected", "z"}, want: illFormed},
	{name: "a colon behind a name", fields: []string{"x:", "z"}, want: illFormed},
	{name: "CRLF in a name", fields: []string{"x" + crlf, "z"}, want: illFormed},
	{name: "LF in a name", fields: []string{"x\ninjected", "z"}, want: illFormed},
	{name: "NUL in a name", fields: []string{"x\x00", "z"}, want: illFormed},
	{name: "a name past ASCII", fields: []string{"x\xf6", "z"}, want: illFormed},
	{name: "an empty name", fields: []string{"", "z"}, want: illFormed},
	{name: "CRLF in a value", fields: []string{"x", "y" + crlf}, want: illFormed},
	{name: "CR in a value", fields: []string{"x", "y\rinjected: z"}, want: illFormed},
	{name: "LF in a value", fields: []string{"x", "y\ninjected: z"}, want: illFormed},
	{name: "NUL in a value", fields: []string{"x", "y\x00z"}, want: illFormed},
	{name: "CRLF at the end of a value", fields: []string{"x", "y\r\n"}, want: illFormed},
	// "A field value MUST NOT start or end with an ASCII whitespace character"
	{name: "a space before a value", fields: []string{"x", " y"}, want: illFormed + "|200", check: having("x", "y")},
	{name: "a tab behind a value", fields: []string{"x", "y\t"}, want: illFormed + "|200", check: having("x", "y")},
	{name: "a value past ASCII", fields: []string{"x", "\xc3\xb6"}, want: "200", check: having("x", "\xc3\xb6")},

	// Section 8.2.2.
	{name: "transfer-encoding", fields: []string{":method", "POST", "transfer-encoding", "chunked"}, data: []string{"0\r\n\r\n" + stray}, want: illFormed},
	{name: "transfer-encoding and a length", fields: []string{":method", "POST", "transfer-encoding", "chunked", "content-length", "42"}, data: []string{"0\r\n\r\n" + stray}, want: illFormed},
	{name: "connection", fields: []string{"connection", "keep-alive"}, want: illFormed},
	{name: "connection that names a field", fields: []string{"connection", "x-forwarded-for"}, want: illFormed},
	{name: "keep-alive", fields: []string{"keep-alive", "5"}, want: illFormed},
	{name: "proxy-connection", fields: []string{"proxy-connection", "keep-alive"}, want: illFormed},
	{name: "upgrade", fields: []string{"upgrade", "h2c"}, want: illFormed},
	{name: "te", fields: []string{"te", "gzip"}, want: illFormed},
	{name: "te, trailers among others", fields: []string{"te", "trailers, gzip"}, want: illFormed},
	{name: "te: trailers", fields: []string{"te", "trailers"}, want: "200"},
	{name: "http2-settings", fields: []string{"http2-settings", "AAMAAABk"}, want: illFormed + "|200", check: without("http2-settings")},

	// Section 8.3.
	{name: "two :path", fields: []string{":path", "ROW", ":path", "/stray"}, want: illFormed},
	{name: "two :method", fields: []string{":method", "GET", ":method", "POST"}, want: illFormed},
	{name: "two :authority", fields: []string{":authority", "a.test", ":authority", "b.test"}, want: illFormed},
	{name: "two :scheme", fields: []string{":scheme", "https", ":scheme", "http"}, want: illFormed},
	{name: "a late :path", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "a.test", "x", "y", ":path", "ROW"}, want: illFormed},
	{name: "a late second :authority", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "ROW", "x", "y", ":authority", "b.test"}, want: illFormed},
	{name: "an unknown pseudo-field", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "ROW", ":x", "y"}, want: illFormed},
	{name: "a pseudo-field of responses", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "ROW", ":status", "200"}, want: illFormed},
	{name: "no :method", exact: true, fields: []string{":scheme", "https", ":authority", "a.test", ":path", "ROW"}, want: illFormed},
	{name: "no :scheme", exact: true, fields: []string{":method", "GET", ":authority", "a.test", ":path", "ROW"}, want: illFormed},
	{name: "no :path", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "a.test"}, want: illFormed},
	{name: "nothing", exact: true, want: illFormed},
	{name: "an empty :path", fields: []string{":path", ""}, want: illFormed},
	{name: "an empty :method", fields: []string{":method", ""}, want: illFormed},
	{name: "an empty :authority", fields: []string{":authority", ""}, want: illFormed},
	{name: ":path without slash", fields: []string{":path", "stray"}, want: illFormed},
	{name: ":path with a host in front", fields: []string{":path", "@b.test/ROW"}, want: illFormed},
	{name: ":path with a space", fields: []string{":path", "ROW HTTP/1.1"}, want: illFormed},
	{name: ":path with CRLF", fields: []string{":path", "ROW HTTP/1.1\r\nHost: a.test\r\n\r\n" + stray}, want: illFormed},
	{name: ":path with LF", fields: []string{":path", "ROW\nx"}, want: illFormed},
	{name: ":path with CR", fields: []string{":path", "ROW\rx"}, want: illFormed},
	{name: ":path with a tab", fields: []string{":path", "ROW\tHTTP/1.1"}, want: illFormed},
	{name: ":path with NUL", fields: []string{":path", "ROW\x00"}, want: illFormed},
	{name: ":path with a fragment", fields: []string{":path", "ROW#x"}, want: illFormed + "|200"},
	{name: ":path is a URL", fields: []string{":path", "https://b.test/ROW"}, want: illFormed},
	{name: ":path is *", fields: []string{":path", "*"}, want: illFormed},
	{name: ":method with a space", fields: []string{":method", "GET /stray HTTP/1.1"}, want: illFormed},
	{name: ":method with CRLF", fields: []string{":method", "GET /stray HTTP/1.1\r\nHost: a.test\r\n\r\nGET"}, want: illFormed},
	{name: ":method that is no token", fields: []string{":method", "GE(T"}, want: illFormed},
	{name: "CONNECT with a path", fields: []string{":method", "CONNECT"}, want: illFormed + "|405"},
	{name: ":scheme with CRLF", fields: []string{":scheme", "https://a.test/\r\n"}, want: illFormed + "|421"},
	{name: ":scheme with a URL", fields: []string{":scheme", "https://b.test/x?"}, want: illFormed + "|421"},
	{name: ":scheme of plaintext", fields: []string{":scheme", "http"}, want: "421"},
	{name: ":authority with CRLF", fields: []string{":authority", "a.test\r\nInjected: yes"}, want: illFormed},
	{name: ":authority with a space", fields: []string{":authority", "a.test b.test"}, want: illFormed},
	{name: ":authority with userinfo", fields: []string{":authority", "b.test@a.test"}, want: illFormed},
	{name: ":authority with a path", fields: []string{":authority", "a.test/b"}, want: illFormed},
	{name: ":authority is a list", fields: []string{":authority", "a.test,b.test"}, want: illFormed},
	{name: "the same host", fields: []string{"host", "a.test"}, want: "200", check: having("host", "a.test")},
	{name: "another host", fields: []string{"host", "b.test"}, want: illFormed},
	{name: "two hosts", fields: []string{"host", "a.test", "host", "b.test"}, want: illFormed},
	{name: "a host with CRLF", fields: []string{"host", "a.test" + crlf}, want: illFormed},
	{name: "a host alone", exact: true, fields: []string{":method", "GET", ":scheme", "https", ":path", "ROW", "host", "a.test"}, want: "200", check: having("host", "a.test")},

	// Section 8.1.1: "A request or response that is defined as having content when it contains a Content-Length header field is malformed
	// if the value of the Content-Length header field does not equal the sum of the DATA frame payload lengths that form the content".
	{name: "more than the length", fields: []string{":method", "POST", "content-length", "5"}, data: []string{"hello" + stray}, want: illFormed},
	{name: "less than the length", fields: []string{":method", "POST", "content-length", "50"}, data: []string{"hello"}, want: illFormed},
	{name: "nothing of the length", fields: []string{":method", "POST", "content-length", "5"}, want: illFormed},
	{name: "something where the length is 0", fields: []string{":method", "POST", "content-length", "0"}, data: []string{stray}, want: illFormed},
	{name: "two lengths that differ", fields: []string{":method", "POST", "content-length", "5", "content-length", "42"}, data: []string{"hello"}, want: illFormed},
	{name: "two lengths that are equal", fields: []string{":method", "POST", "content-length", "5", "content-length", "5"}, data: []string{"hello"}, want: illFormed + "|200", check: asPOST("hello")},
	{name: "a list of lengths", fields: []string{":method", "POST", "content-length", "5, 5"}, data: []string{"hello"}, want: illFormed + "|200", check: asPOST("hello")},
	{name: "a length with a plus", fields: []string{":method", "POST", "content-length", "+5"}, data: []string{"hello"}, want: illFormed},
	{name: "a length with a minus", fields: []string{":method", "POST", "content-length", "-5"}, data: []string{"hello"}, want: illFormed},
	{name: "a length past 63 bits", fields: []string{":method", "POST", "content-length", "18446744073709551621"}, data: []string{"hello"}, want: illFormed},
	{name: "a length with CRLF", fields: []string{":method", "POST", "content-length", "5" + crlf}, data: []string{"hello"}, want: illFormed},
	{name: "an empty length", fields: []string{":method", "POST", "content-length", ""}, data: []string{"hello"}, want: illFormed},
	{name: "a body that looks like chunks", fields: []string{":method", "POST"}, data: []string{"0\r\n\r\n" + stray}, want: "200", check: asPOST("0\r\n\r\n" + stray)},
	{name: "less than the length, then trailers", fields: []string{":method", "POST", "content-length", "50"}, data: []string{"hello"}, trailers: []string{"x", "y"}, want: illFormed},

	// Trailers are never taken for what stands before the content (RFC 9110 section 6.5.1).
	{name: "pseudo-fields in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{":path", "/stray"}, want: illFormed},
	{name: "upper case in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"X", "y"}, want: illFormed},
	{name: "CRLF in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"x", "y\r\n\r\n" + stray}, want: illFormed},
	{name: "CRLF in a trailer's name", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"x\r\n\r\n" + stray, "y"}, want: illFormed},
	{name: "connection in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"connection", "close"}, want: illFormed + "|200", check: noTrailer},
	{name: "transfer-encoding in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"transfer-encoding", "chunked"}, want: illFormed + "|200", check: noTrailer},
	{name: "a length in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"content-length", "50"}, want: illFormed + "|200", check: noTrailer},
	{name: "a host in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"host", "b.test"}, want: illFormed + "|200", check: noTrailer},
	{name: "announced fields about the way in trailers", fields: []string{":method", "POST", "trailer", "x-forwarded-for, forwarded, client-cert, x-forwarded-host"}, data: []string{"hello"},
		trailers: []string{"x-forwarded-for", "6.6.6.6", "forwarded", "for=6.6.6.6", "client-cert", ":AA==:", "x-forwarded-host", "b.test"}, want: illFormed + "|200", check: noTrailer},
	{name: "an announcement in trailers", fields: []string{":method", "POST"}, data: []string{"hello"}, trailers: []string{"trailer", "x"}, want: illFormed + "|200", check: noTrailer},
	{name: "announced trailers", fields: []string{":method", "POST", "trailer", "x"}, data: []string{"hello"}, trailers: []string{"x", "y"}, want: "200", check: announcing("x", "x: y")},
	{name: "announced trailers that never come", fields: []string{":method", "POST", "trailer", "x"}, data: []string{"hello"}, want: "200", check: announcing("x")},
	{name: "announced fields about the framing", fields: []string{":method", "POST", "trailer", "content-length, x, transfer-encoding", "trailer", "host,trailer,te,connection"}, data: []string{"hello"},
		want: illFormed + "|200", check: announcing("x")},
	{name: "announced trailers that are no names", fields: []string{":method", "POST", "trailer", "x y, :path, \"z\", X, a=b"}, data: []string{"hello"}, want: illFormed + "|200", check: announcing("x")},
	{name: "announced trailers with CRLF", fields: []string{":method", "POST", "trailer", "x" + crlf}, data: []string{"hello"}, want: illFormed},
	// Towards HTTP/1.1 either the length is said or there are trailers.
	{name: "announced trailers behind a length", fields: []string{":method", "POST", "content-length", "5", "trailer", "x"}, data: []string{"hel", "lo"}, trailers: []string{"x", "y"}, want: "200", check: announcing("x", "x: y")},
	{name: "announced trailers behind more than the length", fields: []string{":method", "POST", "content-length", "5", "trailer", "x"}, data: []string{"hello" + stray}, trailers: []string{"x", "y"}, want: illFormed},
	{name: "announced trailers behind less than the length", fields: []string{":method", "POST", "content-length", "50", "trailer", "x"}, data: []string{"hello"}, trailers: []string{"x", "y"}, want: illFormed},
	{name: "announced trailers behind a length, with content that looks like chunks", fields: []string{":method", "POST", "content-length", "42", "trailer", "x"}, data: []string{"0\r\n\r\n" + stray}, want: "200", check: asPOST("0\r\n\r\n" + stray)},
	{name: "announced trailers without content", fields: []string{"trailer", "x"}, want: "200", check: without("trailer")},
	{name: "trailers behind a length of 0", fields: []string{":method", "POST", "content-length", "0", "trailer", "x"}, data: []string{}, trailers: []string{"x", "y"}, want: "200", check: asPOST("")},
}

// announcing checks what is announced and what comes.
func announcing(names string, trailers ...string) func(recorded) string {
	return func(r recorded) string {
		if !slices.Equal(r.trailers, trailers) {
			return fmt.Sprintf("trailers %q, want %q", r.trailers, trailers)
		}
		return having("trailer", names)(r) + asPOST("hello")(r)
	}
}

func asGood2(method, body string) func(recorded) string {
	return func(r recorded) string {
		if r.method != method || string(r.body) != body {
			return fmt.Sprintf("%s with %q, want %s with %q", r.method, r.body, method, body)
		}
		return ""
	}
}

func noTrailer(r recorded) string {
	if len(r.trailers) > 0 {
		return fmt.Sprintf("trailers %q", r.trailers)
	}
	return asPOST("hello")(r)
}

// all returns the whole header section.
func (test *smuggle2) all(row string) (pairs []string) {
	if !test.exact {
		for _, good := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "ROW"}} {
			if !slices.Contains(test.fields, good[0]) {
				pairs = append(pairs, good[:]...)
			}
		}
	}
	pairs = append(pairs, test.fields...)
	for i := range pairs {
		pairs[i] = strings.ReplaceAll(pairs[i], "ROW", row)
	}
	return pairs
}

// TestSmugglingHTTP2 has the ways to make one request two, or another one, that begin with HTTP/2. Whatever is wrong with one stream is
// no matter of the others: they all go over one connection.
func TestSmugglingHTTP2(t *testing.T) {
	t.Parallel()
	s, a, b := smugglers(t)
	clean := s.h2(t, on("a.test"))
	c, id := s.wire(t, on("a.test")), uint32(1)
	for i, test := range smuggles2 {
		t.Run(test.name, func(t *testing.T) {
			row := fmt.Sprintf("/row-%d-", i)
			if c.end() != "open" {
				c, id = s.wire(t, on("a.test")), 1
			}
			c.SetDeadline(time.Now().Add(patience))
			if err := c.send(func(f *http2.Framer) { test.write(c, f, id, row) }); err != nil {
				t.Fatal(err)
			}
			outcome := c.outcome(t, id)
			id += 2
			if !slices.Contains(strings.Split(test.want, "|"), outcome) {
				t.Errorf("%s, want %s", outcome, test.want)
			}
			next := fmt.Sprintf("/next-%d", i)
			if c.end() == "open" {
				if err := c.request(id, true, ":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", next); err != nil {
					t.Fatal(err)
				}
				if got := c.outcome(t, id); got != "200" {
					t.Errorf("the next request on the connection: %s", got)
				}
				id += 2
			} else if !strings.Contains(test.want, "GOAWAY") {
				t.Errorf("the connection ended: %s", c.end())
			}
			judgePassedOn(t, outcome, a.seen(row), test.check)
			if r := clean.get(t, "a.test", next); r.status != 200 || r.body != "GET "+next+" \n" {
				t.Errorf("the next client got %d %q", r.status, r.body)
			}
			a.check(t, "/row-", "/next-")
		})
	}
	b.check(t)
}

// write makes the frames.
func (test *smuggle2) write(c *wire, f *http2.Framer, id uint32, row string) {
	c.writeRequest(f, id, test.data == nil, test.all(row)...)
	for i, d := range test.data {
		f.WriteData(id, i == len(test.data)-1 && test.trailers == nil, []byte(d))
	}
	if test.trailers != nil {
		c.writeRequest(f, id, true, test.trailers...)
	}
}

// judgePassedOn looks at what the upstream got of a request with that outcome. check may be nil.
func judgePassedOn(t *testing.T, outcome string, got []recorded, check func(recorded) string) {
	t.Helper()
	switch {
	case outcome != "200":
		if len(got) > 0 {
			t.Errorf("refused, and passed on all the same: %.300q", got[0].raw)
		}
	case len(got) != 1:
		t.Errorf("%d requests passed on", len(got))
	case check != nil:
		if wrong := check(got[0]); wrong != "" {
			t.Errorf("%s; passed on: %.600q", wrong, got[0].raw)
		}
	}
}
