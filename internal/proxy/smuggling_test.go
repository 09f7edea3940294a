package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// A shape is an answer as bytes.
type shape struct {
	name         string
	method       string // empty: GET
	bytes        string
	close        bool // the server closes behind them
	behind       bool // bytes follow the answer: they come in the same packet here, see TestBytesOnAnIdleConnection for others
	want, next   string
	fields       message.Fields // nil: not looked at
	headerLimits int            // Config.MaxHeaderBytes
}

// shapes are the known ways to make two parsers read one answer in two ways, and what is done about each. want is what came of the
// first request; next is what came of the second, where "reused" is the true second answer by the same connection and "fresh" one by
// a new connection.
var shapes = []shape{
	// RFC 9112 section 6.3: how long the content is.
	{name: "length", bytes: ok + "Content-Length: 5\r\n\r\nhello", want: `200 "hello"`, next: "reused"},
	{name: "length 0", bytes: ok + "Content-Length: 0\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "no length", bytes: ok + "\r\nhello", close: true, want: `200 "hello"`, next: "fresh"},
	{name: "chunked", bytes: ok + chunked + "5\r\nhello\r\n0\r\n\r\n", want: `200 "hello"`, next: "reused"},
	{name: "too short", bytes: ok + "Content-Length: 5\r\n\r\nhell", close: true, want: `200 "hell" then closed`, next: "fresh"},

	// Content-Length. Section 6.3 item 5: without Transfer-Encoding and with an invalid Content-Length the framing is invalid.
	{name: "two equal lengths", bytes: ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "two lengths", bytes: ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a list of lengths", bytes: ok + "Content-Length: 5, 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a length with a sign", bytes: ok + "Content-Length: +5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a negative length", bytes: ok + "Content-Length: -1\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a hexadecimal length", bytes: ok + "Content-Length: 0x5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a length with a space", bytes: ok + "Content-Length: 5 0\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "an empty length", bytes: ok + "Content-Length:\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a length beyond 64 bits", bytes: ok + "Content-Length: 18446744073709551621\r\n\r\nhello", want: malformed, next: "fresh"},

	// Transfer-Encoding. Section 6.1, section 6.3 item 3: such a message ought to be handled as an error.
	{name: "TE.CL", bytes: ok + "Content-Length: 5\r\n" + chunked + "0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "CL.TE", bytes: ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "TE.TE", bytes: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked twice", bytes: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked, chunked", bytes: ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked not last", bytes: ok + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked last", bytes: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "not chunked", bytes: ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "identity", bytes: ok + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "chunked quoted", bytes: ok + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked behind a vertical tab", bytes: ok + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "empty Transfer-Encoding", bytes: ok + "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "chunked in HTTP/1.0", bytes: "HTTP/1.0 200 OK\r\n" + chunked + "0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "chunked in capitals", bytes: ok + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", want: `200 ""`, next: "reused"},

	// Lines. Section 2.2, section 5.1, section 5.2.
	{name: "bare LF behind a field", bytes: ok + "Content-Length: 5\n\r\nhello", want: malformed, next: "fresh"},
	{name: "bare LF behind the status line", bytes: "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "bare LF as the empty line", bytes: ok + "Content-Length: 5\r\n\nhello", want: malformed, next: "fresh"},
	{name: "bare CR in a value", bytes: ok + "X: a\rContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "bare CR in the status line", bytes: "HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "CR CR LF", bytes: ok + "X: a\r\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "CR CR LF as the empty line", bytes: ok + "Content-Length: 5\r\n\r\r\nhello", want: malformed, next: "fresh"},
	{name: "obs-fold", bytes: ok + "X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a folded Transfer-Encoding", bytes: ok + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "space before the first field", bytes: ok + " X: a\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "space before the colon", bytes: ok + "Content-Length : 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "tab before the colon", bytes: ok + "Transfer-Encoding\t: chunked\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "no colon", bytes: ok + "Content-Length 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "no name", bytes: ok + ": 5\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a name with NUL", bytes: ok + "Content-Length\x00: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a name beyond ASCII", bytes: ok + "Content-Length\u017f: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a value with NUL", bytes: ok + "X: a\x00b\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a value with DEL", bytes: ok + "X: a\x7fb\r\nContent-Length: 5\r\n\r\nhello", want: malformed, next: "fresh"},
	{name: "a value beyond ASCII", bytes: ok + "X:\t \xe9 \r\nContent-Length: 0\r\n\r\n", want: `200 ""`, next: "reused",
		fields: message.Fields{{Name: "x", Value: "\xe9"}, {Name: "content-length", Value: "0"}}},
	{name: "no end", bytes: ok + strings.Repeat("X: aaaaaaaaaaaaaaaa\r\n", 500), want: malformed, next: "fresh", headerLimits: 8 << 10},
	{name: "a line without end", bytes: ok + "X: " + strings.Repeat("a", 9<<10), want: malformed, next: "fresh", headerLimits: 8 << 10},
	{name: "just too large", behind: true, bytes: ok + strings.Repeat("x", 8<<10-len(ok)-6) + ": \r\n\r\n!", want: malformed, next: "fresh", headerLimits: 8<<10 - 1},
	{name: "just not too large", bytes: ok + strings.Repeat("x", 8<<10-len(ok)-6) + ": \r\n\r\n", close: true, want: `200 ""`, next: "fresh", headerLimits: 8 << 10},
	{name: "cut off", bytes: ok + "Content-Length: 5\r\n", close: true, want: "error closed", next: "fresh"},

	// The status line. Section 4.
	{name: "no reason", bytes: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "no reason and no space", bytes: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "lower case", bytes: "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "HTTP/2.0", bytes: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "HTTP/1.10", bytes: "HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "HTTP/0.9", bytes: "<html>hello</html>", close: true, want: "error closed", next: "fresh"},
	{name: "two spaces", bytes: "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "four digits", bytes: "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "two digits", bytes: "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "a status with a sign", bytes: "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "status 099", bytes: "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "NUL in the reason", bytes: "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "an empty line first", bytes: "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: malformed, next: "fresh"},

	// Answers without content, whatever they say. Section 6.3 item 1.
	{name: "HEAD", method: "HEAD", bytes: ok + "Content-Length: 5\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "HEAD chunked", method: "HEAD", bytes: ok + chunked, want: `200 ""`, next: "reused"},
	{name: "HEAD with content", behind: true, method: "HEAD", bytes: ok + "Content-Length: 5\r\n\r\nhello", want: `200 ""`, next: "fresh"},
	{name: "204", bytes: "HTTP/1.1 204 No Content\r\n\r\n", want: `204 ""`, next: "reused"},
	{name: "204 with length 0", bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", want: `204 ""`, next: "reused", fields: message.Fields{}},
	{name: "204 with a length", bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", want: `204 ""`, next: "fresh", fields: message.Fields{}},
	{name: "204 chunked", bytes: "HTTP/1.1 204 No Content\r\n" + chunked, want: `204 ""`, next: "fresh"},
	{name: "304 with a length", bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", want: `304 ""`, next: "reused"},
	{name: "304 with content", behind: true, bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", want: `304 ""`, next: "fresh"},

	// Bytes behind an answer are never the next answer.
	{name: "a second answer", behind: true, bytes: ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 4\r\n\r\nevil", want: `200 "hello"`, next: "fresh"},
	{name: "a second answer behind chunks", behind: true, bytes: ok + chunked + "0\r\n\r\n" + ok + "Content-Length: 4\r\n\r\nevil", want: `200 ""`, next: "fresh"},
	{name: "one byte", behind: true, bytes: ok + "Content-Length: 5\r\n\r\nhello\n", want: `200 "hello"`, next: "fresh"},
	{name: "Connection: close", bytes: ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello", want: `200 "hello"`, next: "fresh"},
	{name: "Connection: X, Close", bytes: ok + "Content-Length: 5\r\nConnection: X, Close\r\n\r\nhello", want: `200 "hello"`, next: "fresh"},
	{name: "HTTP/1.0", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", want: `200 "hello"`, next: "fresh"},

	// The chunked coding. Section 7.1.
	{name: "chunks", bytes: ok + chunked + "1\r\na\r\n00a\r\n0123456789\r\n000\r\n\r\n", want: `200 "a0123456789"`, next: "reused"},
	{name: "chunk with LF alone", bytes: ok + chunked + "5\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "chunk data with LF alone", bytes: ok + chunked + "5\r\nhello\n0\r\n\r\n", want: `200 "hello" then malformed`, next: "fresh"},
	{name: "chunk data with CR alone", bytes: ok + chunked + "5\r\nhello\rX0\r\n\r\n", want: `200 "hello" then malformed`, next: "fresh"},
	{name: "an extension that ends with LF alone", bytes: ok + chunked + "5;ab\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "chunk data too long", bytes: ok + chunked + "5\r\nhelloo\r\n0\r\n\r\n", want: `200 "hello" then malformed`, next: "fresh"},
	{name: "last chunk with LF alone", bytes: ok + chunked + "0\r\n\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "an empty size", bytes: ok + chunked + "\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a negative size", bytes: ok + chunked + "-5\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size with a sign", bytes: ok + chunked + "+5\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size with 0x", bytes: ok + chunked + "0x5\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size with an underscore", bytes: ok + chunked + "0_5\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a space before a size", bytes: ok + chunked + " 5\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a space behind a size", bytes: ok + chunked + "5 \r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size that overflows", bytes: ok + chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size of 2^63", bytes: ok + chunked + "8000000000000000\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a size with other words", bytes: ok + chunked + "5 6\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "extensions", bytes: ok + chunked + "5;a;b=c ; d = \"e\\\"\" \t;f\r\nhello\r\n0;x\r\n\r\n", want: `200 "hello"`, next: "reused"},
	{name: "an empty extension", bytes: ok + chunked + "5;\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "an extension with LF", bytes: ok + chunked + "5;a\nb\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "an extension with CR", bytes: ok + chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "an open quote", bytes: ok + chunked + "5;a=\"b\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a quote with an escape at its end", bytes: ok + chunked + "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "a long extension", bytes: ok + chunked + "5;" + strings.Repeat("a", 2<<10) + "\r\nhello\r\n0\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "many extensions", bytes: ok + chunked + strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\na\r\n", 20) + "0\r\n\r\n",
		want: `200 "` + strings.Repeat("a", 16) + `" then malformed`, next: "fresh"},
	{name: "chunks cut off", bytes: ok + chunked + "5\r\nhello\r\n", close: true, want: `200 "hello" then closed`, next: "fresh"},
	{name: "last chunk cut off", bytes: ok + chunked + "5\r\nhello\r\n0\r\n", close: true, want: `200 "hello" then closed`, next: "fresh"},

	// Trailers. RFC 9112 section 7.1.2, RFC 9110 section 6.5.1.
	{name: "trailers", bytes: ok + chunked + "0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", want: `200 "" trailers [{x-sum 1} {y 2}]`, next: "reused"},
	{name: "trailers that frame", bytes: ok + chunked + "0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: h\r\nX: 1\r\n\r\n",
		want: `200 "" trailers [{x 1}]`, next: "reused"},
	{name: "trailers about the connection", bytes: ok + "Connection: X-One\r\n" + chunked + "0\r\nX-One: 1\r\nY: 2\r\n\r\n", want: `200 "" trailers [{y 2}]`, next: "reused"},
	{name: "announced trailers", bytes: ok + "Trailer: Y\r\nX: 1\r\nTrailer: , Z\r\n" + chunked + "0\r\nY: 2\r\n\r\n", want: `200 "" trailers [{y 2}]`, next: "reused",
		fields: message.Fields{{Name: "x", Value: "1"}, {Name: "trailer", Value: "y, z"}}},
	{name: "announced trailers that may not be any", bytes: ok + "Trailer: host, Set-Cookie, x-one, x\ty, :status, x\x80\r\nConnection: X-One\r\n" + chunked +
		"0\r\nHost: 2\r\n\r\n", want: `200 ""`, next: "reused", fields: message.Fields{}},
	{name: "an announced length", bytes: ok + "Trailer: x, Content-Length\r\n" + chunked + "0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "an announced coding", bytes: ok + "Connection: trailer\r\nTrailer: x\r\nTrailer: transfer-encoding\r\n" + chunked + "0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "an announced announcement", bytes: ok + "Trailer: trailer\r\n" + chunked + "0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "an announced length where none can come", bytes: ok + "Trailer: content-length\r\nContent-Length: 5\r\n\r\nhello", want: `200 "hello"`, next: "reused"},
	{name: "announced trailers in 304", bytes: "HTTP/1.1 304 Not Modified\r\nTrailer: y\r\n" + chunked, want: `304 ""`, next: "reused", fields: message.Fields{}},
	{name: "announced trailers in the answer to HEAD", method: "HEAD", bytes: ok + "Trailer: y\r\n" + chunked, want: `200 ""`, next: "reused", fields: message.Fields{}},
	{name: "announced trailers in 204", bytes: "HTTP/1.1 204 No Content\r\nTrailer: y\r\n" + chunked, want: `204 ""`, next: "fresh", fields: message.Fields{}},
	{name: "announced trailers until close", bytes: ok + "Trailer: y\r\n\r\nhello", close: true, want: `200 "hello"`, next: "fresh", fields: message.Fields{}},
	{name: "folded trailers", bytes: ok + chunked + "0\r\nX: 1\r\n 2\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "trailers with LF", bytes: ok + chunked + "0\r\nX: 1\nY: 2\r\n\r\n", want: `200 "" then malformed`, next: "fresh"},
	{name: "trailers without end", bytes: ok + chunked + "0\r\n" + strings.Repeat("X: 1\r\n", 2000), want: `200 "" then malformed`, next: "fresh", headerLimits: 8 << 10},

	// Interim answers. RFC 9110 section 15.2.
	{name: "100", bytes: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "103 with a length", bytes: "HTTP/1.1 103 Early Hints\r\nContent-Length: 38\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "103 chunked", bytes: "HTTP/1.1 103 Early Hints\r\n" + chunked + ok + "Content-Length: 0\r\n\r\n", want: malformed, next: "fresh"},
	{name: "101 that nobody asked for", bytes: "HTTP/1.1 101 Switching\r\nUpgrade: evil\r\nConnection: upgrade\r\n\r\n", want: malformed, next: "fresh"},
	{name: "too many", bytes: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 101), want: malformed, next: "fresh"},
	{name: "many", bytes: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 99) + ok + "Content-Length: 0\r\n\r\n", want: `200 ""`, next: "reused"},
	{name: "closed behind one", bytes: "HTTP/1.1 102 Processing\r\n\r\n", close: true, want: "error closed", next: "fresh"},

	// Fields for us alone (RFC 9110 section 7.6.1).
	{name: "hop-by-hop", bytes: ok + "Content-Length: 0\r\nConnection: X-One, content-length\r\nX-One: 1\r\nX-Two: 2\r\nKeep-Alive: timeout=5\r\n" +
		"Upgrade: h2c\r\nTrailer: x\r\n\r\n", want: `200 ""`, next: "reused",
		fields: message.Fields{{Name: "content-length", Value: "0"}, {Name: "x-two", Value: "2"}}},
}

const (
	ok        = "HTTP/1.1 200 OK\r\n"
	chunked   = "Transfer-Encoding: chunked\r\n\r\n"
	malformed = "error malformed"
)

func TestAnswers(t *testing.T) {
	for _, shape := range shapes {
		// However the bytes are cut, the same comes of them.
		for _, cut := range []int{1 << 20, 1, 7} {
			if cut == 1<<20 || !shape.behind {
				t.Run(fmt.Sprint(shape.name, " cut ", cut), func(t *testing.T) { shape.try(t, cut) })
			}
		}
	}
}

func (sh *shape) try(t *testing.T, cut int) {
	s, sc := newScripted(t, Config{MaxHeaderBytes: sh.headerLimits}, func(n int, c *peer) {
		if n > 1 {
			if _, ok := c.head(); ok {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecond")
			}
			return
		}
		if _, ok := c.head(); !ok {
			return
		}
		for rest := sh.bytes; rest != ""; rest = rest[min(cut, len(rest)):] {
			if _, err := c.Write([]byte(rest[:min(cut, len(rest))])); err != nil {
				return
			}
		}
		if sh.close {
			return
		}
		if _, ok := c.head(); ok {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nreused")
			c.head()
		}
	})
	r := get("/")
	if sh.method != "" {
		r.Method = sh.method
	}
	var call Call
	res, err := s.Do(&call, r)
	if err == nil && sh.fields != nil && !equal(res.Fields, sh.fields) {
		t.Errorf("fields %v, want %v", res.Fields, sh.fields)
	}
	if got := answer(res, err); got != sh.want {
		t.Errorf("the answer is\n%s, want\n%s", got, sh.want)
	}
	call.Reset()
	second := map[string]string{"reused": `200 "reused"`, "fresh": `200 "second"`}[sh.next]
	if got := answer(s.Do(&call, get("/second"))); got != second {
		t.Errorf("the next answer is %s, want %s", got, second)
	}
	if n := sc.dialled(); n > 2 {
		t.Errorf("%d connections", n)
	}
}

func equal(a, b message.Fields) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
