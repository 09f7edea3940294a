package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// smugglers is a stage with a site a.test behind which a recorder stands, and b.test with another one.
func smugglers(t *testing.T) (s *stage, a, b *recorder) {
	t.Helper()
	a, b = newRecorder(t), newRecorder(t)
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "ab", "a.test", "b.test")
	s = &stage{c, serve(t, c.dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout}
timeouts: {header: 10s, body: 2s, idle: 1m}
state: ./state
sites:
  - {name: a, hosts: [a.test], tls: {certificates: [{certificate: ab.pem, key: ab.key}]}, upstream: %q}
  - {name: b, hosts: [b.test], tls: {certificates: [{certificate: ab.pem, key: ab.key}]}, upstream: %q}
`, a.url, b.url))}
	return s, a, b
}

// A smuggle is bytes of a client that others may understand otherwise. In its text, HEAD stands for the rest of a good request line
// and a good Host field, and a request for /stray is what an attacker would like to be seen as a request of its own.
type smuggle struct {
	name, text string
	// want has the statuses that are right, with bars between them. With 200 the upstream has got one request, whose form the
	// recorder has checked, and which check looks at; with any other one it has got no complete one. 0 is a close without answer.
	want  string
	check func(r recorded) (wrong string)
	// starving texts make the server wait for more: no request follows them.
	starving bool
}

// asPOST is what most of them should be taken for, if for anything.
func asPOST(body string) func(recorded) string {
	return func(r recorded) string {
		if r.method != "POST" || string(r.body) != body {
			return fmt.Sprintf("%s with %q, want POST with %q", r.method, r.body, body)
		}
		return ""
	}
}

// without checks that fields, and trailers, are not passed on.
func without(names ...string) func(recorded) string {
	return func(r recorded) string {
		for _, f := range append(slices.Clone(r.fields), r.trailers...) {
			if name, _, _ := strings.Cut(f, ":"); slices.Contains(names, name) {
				return "passed on: " + f
			}
		}
		return ""
	}
}

// having checks that a field is passed on with one value.
func having(name, value string) func(recorded) string {
	return func(r recorded) string {
		if got := r.values(name); len(got) != 1 || got[0] != value {
			return fmt.Sprintf("%s is %q, want %q", name, got, value)
		}
		return ""
	}
}

const stray = "GET /stray HTTP/1.1\r\nHost: a.test\r\n\r\n"

func post(fields, body string) string { return "POST HEAD" + fields + "\r\n" + body }
func ask(fields string) string        { return "GET HEAD" + fields + "\r\n" }
func chunk(data string) string        { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

// RFC 9112 section 6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding or process such a
// request in accordance with the Transfer-Encoding alone. Regardless, the server MUST close the connection after responding to such
// a request to avoid the potential attacks."
var smuggles = []smuggle{
	{name: "a good length", text: post("Content-Length: 5\r\n", "hello"), want: "200", check: asPOST("hello")},
	{name: "good chunks", text: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "200", check: asPOST("hello")},
	{name: "good chunks, upper case", text: post("TRANSFER-ENCODING: Chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "200", check: asPOST("hello")},
	{name: "blanks round a length", text: post("Content-Length: \t 5 \t \r\n", "hello"), want: "200", check: asPOST("hello")},

	// One part of the way believes the length, the other one the chunks.
	{name: "CL.TE", text: post("Content-Length: 42\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+stray), want: "400|200", check: asPOST("")},
	{name: "TE.CL", text: post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunk(stray)+"0\r\n\r\n"), want: "400|200", check: asPOST(stray)},
	{name: "CL.0", text: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunk(stray)+"0\r\n\r\n"), want: "400|200", check: asPOST(stray)},
	{name: "a length that Connection names", text: post("Connection: content-length\r\nContent-Length: 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},
	{name: "a coding that Connection names", text: post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "400|200", check: asPOST("hello")},
	{name: "HTTP/1.0 with chunks", text: "POST /row HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + stray, want: "400|200", check: asPOST("hello")},

	// A coding that some take for chunked.
	{name: "TE.TE: two fields", text: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"), want: "400|501"},
	{name: "TE.TE: chunked twice in two fields", text: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: "400|501"},
	{name: "TE.TE: chunked last", text: post("Transfer-Encoding: x, chunked\r\n", "0\r\n\r\n"), want: "400|501"},
	{name: "TE.TE: chunked first", text: post("Transfer-Encoding: chunked, x\r\n", "0\r\n\r\n"), want: "400|501"},
	{name: "TE.TE: identity", text: post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: xchunked", text: post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: a vertical tab", text: post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: quoted", text: post("Transfer-Encoding: \"chunked\"\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: empty", text: post("Transfer-Encoding:\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: a comma", text: post("Transfer-Encoding: chunked,\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: a parameter", text: post("Transfer-Encoding: chunked;q=1\r\nContent-Length: 5\r\n", "hello"), want: "400|501"},
	{name: "TE.TE: a NUL", text: post("Transfer-Encoding: chunked\x00\r\nContent-Length: 5\r\n", "hello"), want: "400"},
	{name: "TE.TE: a space before the colon", text: post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "hello"), want: "400"},
	{name: "TE.TE: a tab before the colon", text: post("Transfer-Encoding\t: chunked\r\nContent-Length: 5\r\n", "hello"), want: "400"},
	{name: "TE.TE: a line before the colon", text: post("Transfer-Encoding\r\n: chunked\r\nContent-Length: 5\r\n", "hello"), want: "400"},
	{name: "TE.TE: behind a bare LF", text: post("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), want: "400|200", check: asPOST("")},
	{name: "TE.TE: behind a bare CR", text: post("X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), want: "400"},
	{name: "TE.TE: a continued line", text: post("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},
	{name: "TE.TE: a value on a continued line", text: post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), want: "400|501|200", check: asPOST("")},
	{name: "TE.TE: an underscore", text: post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},

	{name: "two lengths that differ", text: post("Content-Length: 5\r\nContent-Length: 42\r\n", "hello"+stray), want: "400"},
	{name: "two lengths that are equal", text: post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},
	{name: "a list of lengths", text: post("Content-Length: 5, 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},
	{name: "a list of lengths that differ", text: post("Content-Length: 5, 42\r\n", "hello"), want: "400"},
	{name: "a length with a plus", text: post("Content-Length: +5\r\n", "hello"), want: "400"},
	{name: "a length with a minus", text: post("Content-Length: -5\r\n", "hello"), want: "400"},
	{name: "a length in hexadecimal", text: post("Content-Length: 0x5\r\n", "hello"), want: "400"},
	{name: "a length with an underscore", text: post("Content-Length: 0_5\r\n", "hello"), want: "400"},
	{name: "a length with a space in it", text: post("Content-Length: 5 5\r\n", "hello"), want: "400"},
	{name: "a length with a parameter", text: post("Content-Length: 5;x\r\n", "hello"), want: "400"},
	{name: "a length of nothing", text: post("Content-Length:\r\n", stray), want: "400"},
	{name: "a length past 63 bits", text: post("Content-Length: 18446744073709551621\r\n", "hello"), want: "400"},
	{name: "a length with a vertical tab", text: post("Content-Length: \x0b5\r\n", "hello"), want: "400"},
	{name: "a length with a space before the colon", text: post("Content-Length : 5\r\n", "hello"), want: "400"},
	{name: "a GET with a body", text: ask("Content-Length: 37\r\n") + stray, want: "200", check: func(r recorded) string {
		if r.method != "GET" || string(r.body) != stray {
			return fmt.Sprintf("%s with %q", r.method, r.body)
		}
		return ""
	}},
	{name: "a body that does not come", text: post("Content-Length: 50\r\n", stray), want: "400|408", starving: true},
	{name: "chunks that do not come", text: post("Transfer-Encoding: chunked\r\n", "50\r\n"+stray), want: "400|408", starving: true},

	{name: "a chunk extension", text: post("Transfer-Encoding: chunked\r\n", "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"), want: "400|200", check: asPOST("hello")},
	{name: "a chunk extension with a bare LF", text: post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\n2a\r\n0\r\n\r\n"+stray+"\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk extension with a bare CR", text: post("Transfer-Encoding: chunked\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size with a bare LF", text: post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size with a bare CR", text: post("Transfer-Encoding: chunked\r\n", "5\rhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk that a bare LF ends", text: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n"), want: "400"},
	{name: "a last chunk with a bare LF", text: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\n\n"), want: "400"},
	{name: "a chunk size in other notation", text: post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size with a plus", text: post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size with a minus", text: post("Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size with a space before", text: post("Transfer-Encoding: chunked\r\n", " 5\r\nhello\r\n0\r\n\r\n"), want: "400|200", check: asPOST("hello")},
	{name: "a chunk size with a space behind", text: post("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n"), want: "400|200", check: asPOST("hello")},
	{name: "a chunk size of nothing", text: post("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size that is none", text: post("Transfer-Encoding: chunked\r\n", "g\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size past 64 bits", text: post("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk size of all bits", text: post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), want: "400|408"},
	{name: "a chunk size with zeros", text: post("Transfer-Encoding: chunked\r\n", "0000005\r\nhello\r\n000\r\n\r\n"), want: "400|200", check: asPOST("hello")},
	{name: "more in a chunk than it says", text: post("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "less in a chunk than it says", text: post("Transfer-Encoding: chunked\r\n", "7\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "one byte in a chunk size that is long", text: post("Transfer-Encoding: chunked\r\n", strings.Repeat("0", 5000)+"5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "a chunk extension that is long", text: post("Transfer-Encoding: chunked\r\n", "5;"+strings.Repeat("x", 100_000)+"\r\nhello\r\n0\r\n\r\n"), want: "400"},

	// What stands behind the content is never taken for what stands before it (RFC 9110 section 6.5.1).
	{name: "trailers about the framing", text: post("Transfer-Encoding: chunked\r\nTrailer: content-length, transfer-encoding\r\n", "5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"), want: "400|200",
		check: func(r recorded) string { return inTrailers(r, "content-length", "transfer-encoding") }},
	{name: "trailers about the framing, unannounced", text: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"), want: "400|200",
		check: func(r recorded) string { return inTrailers(r, "content-length", "transfer-encoding") }},
	{name: "trailers about the way", text: post("Transfer-Encoding: chunked\r\nTrailer: host, x-forwarded-for, forwarded, client-cert\r\n", "5\r\nhello\r\n0\r\nHost: b.test\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nClient-Cert: :AA==:\r\n\r\n"), want: "400|200",
		check: func(r recorded) string {
			return inTrailers(r, "host", "x-forwarded-for", "forwarded", "client-cert")
		}},
	{name: "trailers that are malformed", text: post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", "5\r\nhello\r\n0\r\nX : y\r\n\r\n"), want: "400|200", check: func(r recorded) string { return inTrailers(r, "x") }},
	{name: "trailers with a bare CR", text: post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"), want: "400"},
	{name: "trailers with a NUL", text: post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", "5\r\nhello\r\n0\r\nX: a\x00b\r\n\r\n"), want: "400"},
	{name: "good trailers", text: post("Transfer-Encoding: chunked\r\nTrailer: x\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n"), want: "200", check: func(r recorded) string {
		if len(r.trailers) != 1 || r.trailers[0] != "x: y" {
			return fmt.Sprintf("trailers %q", r.trailers)
		}
		return asPOST("hello")(r)
	}},

	{name: "announced trailers", text: post("Transfer-Encoding: chunked\r\nTrailer: X, host, X-Forwarded-For, client_cert\r\nTrailer: Y\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n"), want: "200", check: func(r recorded) string {
		return having("trailer", "x, y")(r) + asPOST("hello")(r)
	}},
	{name: "announced trailers that are no names", text: post("Transfer-Encoding: chunked\r\nTrailer: x y, :path, \"z\", a;b, \x80\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "400|200", check: func(r recorded) string {
		return having("trailer", "a")(r) + asPOST("hello")(r)
	}},
	{name: "announced trailers on a continued line", text: post("Transfer-Encoding: chunked\r\nTrailer: x,\r\n y\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "announced trailers with a bare CR", text: post("Transfer-Encoding: chunked\r\nTrailer: x\rInjected: y\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: "400"},
	{name: "announced trailers behind a length", text: post("Trailer: x\r\nContent-Length: 5\r\n", "hello"), want: "200", check: func(r recorded) string {
		return having("content-length", "5")(r) + without("trailer")(r) + asPOST("hello")(r)
	}},
	{name: "an announced length behind a length", text: post("Trailer: content-length\r\nContent-Length: 5\r\n", "hello"), want: "400|200", check: asPOST("hello")},
	{name: "announced trailers without content", text: ask("Trailer: x\r\n"), want: "200", check: without("trailer")},
	// RFC 9110 section 7.6.1: "remove any header or trailer field(s) from the message with the same name as the connection-option".
	{name: "trailers about the connection", text: post("Connection: x-mine\r\nTrailer: x-mine, x\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-Mine: 1\r\n\r\n"), want: "200", check: func(r recorded) string {
		return having("trailer", "x")(r) + without("x-mine")(r) + asPOST("hello")(r)
	}},

	{name: "bare LFs", text: "GET /row HTTP/1.1\nHost: a.test\n\n", want: "400|200"},
	{name: "a bare LF behind the request line", text: "GET /row HTTP/1.1\nHost: a.test\r\n\r\n", want: "400|200"},
	{name: "a bare LF between fields", text: ask("X: y\nInjected: z\r\n"), want: "400|200"},
	{name: "bare CRs", text: "GET /row HTTP/1.1\rHost: a.test\r\r" + stray, want: "400"},
	{name: "a bare CR in a value", text: ask("X: y\rInjected: z\r\n"), want: "400"},
	{name: "two CRs", text: ask("X: y\r\r\n"), want: "400|200"},
	{name: "a CR in a name", text: ask("X\r: y\r\n"), want: "400"},
	{name: "a continued line", text: ask("X: a\r\n b\r\n"), want: "400|200", check: having("x", "a b")},
	{name: "a continued line first", text: "GET /row HTTP/1.1\r\n Host: b.test\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a continued Host", text: "GET /row HTTP/1.1\r\nHost: a.test\r\n b.test\r\n\r\n", want: "400"},
	{name: "a space before the colon", text: ask("X : y\r\n"), want: "400"},
	{name: "a tab before the colon", text: ask("X\t: y\r\n"), want: "400"},
	{name: "a space before Host's colon", text: "GET /row HTTP/1.1\r\nHost : b.test\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a NUL in a value", text: ask("X: a\x00b\r\n"), want: "400"},
	{name: "a NUL in a name", text: ask("X\x00Y: a\r\n"), want: "400"},
	{name: "a NUL in the target", text: "GET /row\x00 HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "DEL in a value", text: ask("X: a\x7fb\r\n"), want: "400"},
	{name: "a form feed in a value", text: ask("X: a\x0cb\r\n"), want: "400"},
	{name: "a space in a name", text: ask("X Y: a\r\n"), want: "400"},
	{name: "no name", text: ask(": a\r\n"), want: "400"},
	{name: "no colon", text: ask("Xa\r\n"), want: "400"},
	{name: "a name past ASCII", text: ask("X\xc3\xb6: a\r\n"), want: "400"},
	{name: "a value past ASCII", text: ask("X: \xc3\xb6\r\n"), want: "200", check: having("x", "\xc3\xb6")},

	{name: "a space in the target", text: "GET /row HTTP/1.1 HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "two spaces", text: "GET  /row HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "tabs", text: "GET\t/row\tHTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a space behind the version", text: "GET /row HTTP/1.1 \r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a CR in the target", text: "GET /row\rx HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a method that is no token", text: "GE(T /row HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "no version", text: "GET /row\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "another version", text: "GET /row HTTP/1.2\r\nHost: a.test\r\n\r\n", want: "400|505|200"},
	{name: "a version of HTTP/2", text: "GET /row HTTP/2.0\r\nHost: a.test\r\n\r\n", want: "400|505"},
	{name: "a version with a letter", text: "GET /row HTTP/1.1x\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a fragment in the target", text: "GET /row#x HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400|200"},
	{name: "empty lines before", text: "\r\n\r\nGET HEAD\r\n", want: "400|200"},
	{name: "a line feed before", text: "\nGET HEAD\r\n", want: "400|200"},

	{name: "two Hosts", text: "GET /row HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", want: "400"},
	{name: "the same Host twice", text: "GET /row HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a list of Hosts", text: "GET /row HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", want: "400"},
	{name: "no Host", text: "GET /row HTTP/1.1\r\n\r\n", want: "400"},
	{name: "userinfo in Host", text: "GET /row HTTP/1.1\r\nHost: x@a.test\r\n\r\n", want: "400"},
	{name: "a path in Host", text: "GET /row HTTP/1.1\r\nHost: a.test/b\r\n\r\n", want: "400"},
	{name: "a space in Host", text: "GET /row HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", want: "400"},
	{name: "a target that is a URL", text: "GET https://a.test/row HTTP/1.1\r\nHost: b.test\r\n\r\n", want: "200", check: having("host", "a.test")},
	{name: "a target that is a URL of plaintext", text: "GET http://a.test/row HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "421"},
	{name: "a target that is a URL with userinfo", text: "GET https://b.test@a.test/row HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400"},
	{name: "a target with an authority in front", text: "GET //b.test/row HTTP/1.1\r\nHost: a.test\r\n\r\n", want: "400|200", check: having("host", "a.test")},
	{name: "CONNECT", text: "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", want: "400|405"},

	{name: "fields about the way", text: ask("X-Forwarded-Host: b.test\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: gopher\r\n"), want: "200",
		check: func(r recorded) string {
			if strings.Contains(r.raw, "6.6.6.6") || strings.Contains(r.raw, "b.test") || strings.Contains(r.raw, "gopher") {
				return r.raw
			}
			return ""
		}},
	// RFC 9110 section 7.6.1: the field of that name is taken out; ours, put in afterwards, are not.
	{name: "Connection names our fields", text: ask("Connection: keep-alive, x-forwarded-for, forwarded, x-forwarded-host, host\r\n"), want: "400|200", check: func(r recorded) string {
		return having("host", "a.test")(r) + having("x-forwarded-for", "127.0.0.1")(r)
	}},
	{name: "fields about the connection", text: ask("Connection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n"), want: "200",
		check: without("x-mine", "keep-alive", "proxy-connection", "te")},
	{name: "an upgrade to HTTP/2", text: ask("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"), want: "400|200",
		check: without("upgrade", "http2-settings")},
	{name: "100-continue", text: post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), want: "200", check: asPOST("hello")},
	{name: "another expectation", text: post("Expect: 100-continue, x\r\nContent-Length: 5\r\n", "hello"), want: "400|417|200", check: asPOST("hello")},
}

func inTrailers(r recorded, names ...string) string {
	return without(names...)(recorded{fields: r.trailers})
}

// TestSmugglingHTTP1 has the known ways to make one request two, or another one, over HTTP/1.1.
func TestSmugglingHTTP1(t *testing.T) {
	t.Parallel()
	s, a, b := smugglers(t)
	clean := s.h1(t, on("a.test"))
	for i, test := range smuggles {
		t.Run(test.name, func(t *testing.T) {
			row, after := fmt.Sprintf("/row-%d-", i), fmt.Sprintf("/after-%d-", i)
			text := strings.NewReplacer("HEAD", "/row HTTP/1.1\r\nHost: a.test\r\n").Replace(test.text)
			text = strings.Replace(text, "/row", row, 1)
			if !test.starving {
				text += "GET " + after + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
			}
			answers := answersOf(t, s.h1(t, on("a.test")), text)
			first := "0"
			if len(answers) > 0 {
				first = answers[0]
			}
			if !slices.Contains(strings.Split(test.want, "|"), first) {
				t.Errorf("answered %v, want %s", answers, test.want)
			}
			got := a.seen(row)
			judgePassedOn(t, first, got, test.check)
			// Each answer is that of a request: none is left over for anybody.
			served := len(answers) - len(slices.DeleteFunc(slices.Clone(answers), func(a string) bool { return a == "200" }))
			if n := len(got) + len(a.seen(after)); n != served {
				t.Errorf("%d requests passed on, %d answered 200: %v", n, served, answers)
			}
			framing := strings.Contains(strings.ToLower(test.text), "content-length") || strings.Contains(strings.ToLower(test.text), "transfer-encoding")
			if refused := first == "400" || first == "0"; refused && framing && len(a.seen(after)) > 0 {
				t.Error("what follows a request without a clear end was taken for a request")
			}
			next := fmt.Sprintf("/next-%d", i)
			if r := clean.get(t, "a.test", next); r.status != 200 || r.body != "GET "+next+" \n" {
				t.Errorf("the next client got %d %q", r.status, r.body)
			}
			a.check(t, "/row-", "/after-", "/next-")
		})
	}
	b.check(t)
}

// answersOf sends bytes and returns the statuses of what comes back until the connection ends, each a well-formed answer.
func answersOf(t *testing.T, c *h1, text string) (statuses []string) {
	t.Helper()
	go io.WriteString(c, text)
	all, _ := io.ReadAll(c.r) // a reset after the answer is as good as an end
	in := bufio.NewReader(bytes.NewReader(all))
	for {
		if _, err := in.Peek(1); err != nil {
			return statuses
		}
		w, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%v in %.600q", err, all)
		}
		if _, err := io.Copy(io.Discard, w.Body); err != nil {
			t.Errorf("%v in %.600q", err, all)
		}
		if w.StatusCode >= 200 {
			statuses = append(statuses, fmt.Sprint(w.StatusCode))
		}
	}
}
