package http1

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// A decoded body: the content, how many bytes of the text are behind it, and the status of the error; 0: none, -1: it is not complete.
type decoded struct {
	content  string
	rest     int
	trailers message.Fields
	status   int
}

// decode gives the text to a decoder in pieces of some bytes, as a buffer that grows.
func decode(text string, piece int) (d decoded) {
	var c Chunks
	at, come := 0, 0
	for {
		used, ready, err := c.Advance([]byte(text[at:come]), most)
		at += used
		var wrong *Error
		switch {
		case errors.As(err, &wrong):
			d.status = wrong.Status
			return d
		case c.Over():
			d.rest, d.trailers = len(text)-at, c.Trailers()
			return d
		}
		if n := int(min(c.Left(), int64(come-at))); ready && n > 0 {
			d.content += text[at : at+n]
			at += n
			c.Take(n)
			continue
		}
		if come == len(text) {
			d.status = -1
			return d
		}
		come = min(len(text), come+piece)
	}
}

func TestChunks(t *testing.T) {
	tests := []struct {
		name, text string
		want       decoded
	}{
		{"chunks", "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", decoded{content: "hello world"}},
		{"nothing", "0\r\n\r\n", decoded{}},
		{"what follows is left alone", "1\r\nx\r\n0\r\n\r\nGET ", decoded{content: "x", rest: 4}},
		{"upper case and zeros", "00A\r\n0123456789\r\n000\r\n\r\n", decoded{content: "0123456789"}},
		// RFC 9112 section 7.1.1: "A recipient MUST ignore unrecognized chunk extensions."
		{"extensions", "1;a;b=c ; d = \"\\\"x;\\t\"\r\nx\r\n0;e\r\n\r\n", decoded{content: "x"}},
		{"trailers", "1\r\nx\r\n0\r\nA: b\r\nC:d \r\n\r\n", decoded{content: "x", trailers: fields("a", "b", "c", "d")}},
		// RFC 9110 section 6.5.1: "a sender MUST NOT generate a trailer field unless [...]"; what decides about framing or routing is ignored.
		{"trailers that may not be any", "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\nConnection: x\r\nAuthorization: y\r\nTrailer: c\r\nAlt-Svc: d\r\nA: b\r\n\r\n",
			decoded{trailers: fields("a", "b")}},
		{"it is not complete", "5\r\nhel", decoded{content: "hel", status: -1}},
		{"the last line is missing", "0\r\n", decoded{status: -1}},

		{"no size", "\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a size that is none", "g\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a signed size", "+1\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a size with a prefix", "0x1\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a space before a size", " 1\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a space behind a size", "1 \r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		// RFC 9112 section 7.1: "recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer
		// conversion overflows or precision loss due to integer representation."
		{"a size past 64 bits", "10000000000000001\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a size of all bits", "ffffffffffffffff\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a bare LF behind a size", "1\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a bare CR in a size line", "1;a\rb\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a bare LF in an extension", "2;\nxx\r\n2a\r\n0\r\n\r\n", decoded{status: 400}},
		{"a quoted string without end", "1;a=\"b\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"an extension without a name", "1;=b\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a long line", "1;" + strings.Repeat("a", 1<<10) + "\r\nx\r\n0\r\n\r\n", decoded{status: 400}},
		{"a long line without end", "1;" + strings.Repeat("a", 1<<11), decoded{status: 400}},
		{"many extensions", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 17), decoded{content: strings.Repeat("x", 16), status: 400}},
		{"more than the size", "1\r\nxy\r\n0\r\n\r\n", decoded{content: "x", status: 400}},
		{"a bare LF behind a chunk", "1\r\nx\n0\r\n\r\n", decoded{content: "x", status: 400}},
		{"a bare CR behind a chunk", "1\r\nx\r0\r\n\r\n", decoded{content: "x", status: 400}},
		{"something before the LF behind a chunk", "1\r\nxy\n0\r\n\r\n", decoded{content: "x", status: 400}},
		{"something behind the CR behind a chunk", "1\r\nx\rz0\r\n\r\n", decoded{content: "x", status: 400}},
		{"bare LFs at the end", "0\n\n", decoded{status: 400}},
		{"malformed trailers", "0\r\nA : b\r\n\r\n", decoded{status: 400}},
		{"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", decoded{status: 400}},
		{"a bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", decoded{status: 400}},
		{"large trailers", "0\r\nA: " + strings.Repeat("b", most) + "\r\n\r\n", decoded{status: 431}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 7, len(test.text)} {
				if got := decode(test.text, piece); !reflect.DeepEqual(got, test.want) {
					t.Errorf("in pieces of %d: %.200v\nwant %.200v", piece, got, test.want)
				}
			}
		})
	}
}
