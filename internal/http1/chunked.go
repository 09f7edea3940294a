package http1

import (
	"bytes"

	"github.com/usher-http/usher/internal/message"
)

// chunkPart is where in the chunked coding (RFC 9112 section 7.1) the next byte belongs.
//
//	chunked-body = *chunk last-chunk trailer-section CRLF
//	chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//	last-chunk   = 1*("0") [ chunk-ext ] CRLF
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkData
	chunkEnd
	chunkTrailers
	chunksOver
)

const (
	// maxChunkLine is the length of a line with a chunk's size.
	maxChunkLine = 1 << 10
	// maxExtensions is how many bytes of chunk extensions a message may have beyond those of its content: who sends more of them
	// than content wants to waste our time.
	maxExtensions = 16 << 10
	// maxChunkDigits keeps a size below 2^60, so that it cannot overflow.
	maxChunkDigits = 15
)

// Chunks decodes the chunked coding from a buffer that somebody else fills. The zero value is at the beginning of a body.
type Chunks struct {
	part       chunkPart
	left       int64 // of the chunk
	scan       Scan  // of the trailer section
	extensions int64 // bytes of chunk extensions that exceed the content
	trailers   message.Fields
}

// Advance uses up what b begins with of the coding itself, up to the next content or the end. used is how many bytes that took; the
// next call gets what is behind them, and more. ready says that content follows: see Left and Take. Otherwise, unless Over, more has to
// be read. most limits the trailer section, in bytes.
func (d *Chunks) Advance(b []byte, most int) (used int, ready bool, err error) {
	for d.part != chunksOver {
		at := b[used:]
		n := 0
		switch d.part {
		case chunkData:
			if d.left > 0 {
				return used, true, nil
			}
			d.part = chunkEnd
			continue
		case chunkEnd:
			n, err = d.endChunk(at)
		case chunkSize:
			n, err = d.startChunk(at)
		case chunkTrailers:
			n, err = d.readTrailers(at, most)
		}
		if n == 0 || err != nil {
			return used, false, err
		}
		used += n
	}
	return used, false, nil
}

// Left is how much of the chunk's content was not taken.
func (d *Chunks) Left() int64 { return d.left }

// Take says that n bytes of content, at most Left, were used up.
func (d *Chunks) Take(n int) { d.left -= int64(n) }

// Over reports whether the body, with its trailer section, has come to its end.
func (d *Chunks) Over() bool { return d.part == chunksOver }

// Trailers are complete when Over. Those that may not stand there are not among them.
func (d *Chunks) Trailers() message.Fields { return d.trailers }

func (d *Chunks) endChunk(b []byte) (int, error) {
	if len(b) > 0 && b[0] != '\r' || len(b) > 1 && b[1] != '\n' {
		return 0, malformed("chunk data that is longer than its size")
	}
	if len(b) < 2 {
		return 0, nil
	}
	d.part = chunkSize
	return 2, nil
}

func (d *Chunks) startChunk(b []byte) (int, error) {
	lf := bytes.IndexByte(b, '\n')
	if lf > maxChunkLine || lf < 0 && len(b) > maxChunkLine {
		return 0, malformed("a chunk's size line that is too long")
	}
	if lf < 0 {
		return 0, nil
	}
	if lf == 0 || b[lf-1] != '\r' {
		return 0, malformed("a chunk's size line that ends with LF alone")
	}
	size, extension, err := parseChunkLine(b[:lf-1])
	if err != nil {
		return 0, err
	}
	if d.extensions += int64(extension); d.extensions > maxExtensions {
		return 0, malformed("too many chunk extensions")
	}
	d.extensions = max(0, d.extensions-size)
	d.left, d.part = size, chunkData
	if size == 0 {
		d.part = chunkTrailers
	}
	return lf + 1, nil
}

func (d *Chunks) readTrailers(b []byte, most int) (int, error) {
	n, err := d.scan.End(b)
	if n > most || n == 0 && len(b) >= most {
		return 0, errTrailersTooLarge
	}
	if n == 0 || err != nil {
		return 0, err
	}
	if n > len("\r\n") {
		var s Section
		if err := s.Parse(b[:n], 0); err != nil {
			return 0, err
		}
		for i := range s.Len() {
			if f := s.Field(i); Trailing(f.Name) {
				d.trailers = append(d.trailers, f)
			}
		}
	}
	d.part = chunksOver
	return n, nil
}

// Trailing reports whether a field may stand behind the content. What has to be known before the content, or decides where it
// ends and for whom it is, may not (RFC 9110 section 6.5.1); there it is ignored.
func Trailing(name string) bool {
	switch name {
	case "content-length", "content-type", "content-encoding", "content-range", "host", "authorization", "set-cookie", "cookie",
		"www-authenticate", "cache-control", "expires", "age", "date", "location", "retry-after", "vary", "warning", "expect",
		"max-forwards", "trailer", "alt-svc", "pragma", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range":
		return false
	}
	return !message.HopByHop(name)
}

// Misannounces reports whether a field Trailer announces what frames the message. Some refuse that (net/http), and others believe it.
func Misannounces(f message.Fields) bool {
	for name := range f.Tokens("trailer") {
		switch name {
		case "content-length", "transfer-encoding", "trailer":
			return true
		}
	}
	return false
}

// MayTrail reports whether a field may be sent behind the content: Trailing holds for it, and it can be a field line.
func MayTrail(f *message.Field) bool {
	return message.ValidName(f.Name) && message.ValidValue(f.Value) && Trailing(f.Name)
}

// parseChunkLine reads
//
//	chunk-size [ chunk-ext ]
//	chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//
// Extensions are ignored, as RFC 9112 section 7.1.1 asks, but they have to be some: no other byte may stand beside a size.
func parseChunkLine(b []byte) (size int64, extension int, err error) {
	i := 0
	for ; i < len(b); i++ {
		d := hexDigit(b[i])
		if d < 0 {
			break
		}
		if i == maxChunkDigits {
			return 0, 0, malformed("a chunk's size that is too large")
		}
		size = size<<4 | int64(d)
	}
	if i == 0 || !extensions(b[i:]) {
		return 0, 0, malformed("a chunk's size")
	}
	return size, len(b) - i, nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func extensions(b []byte) bool {
	for len(b) > 0 {
		b = blanks(b)
		if len(b) == 0 || b[0] != ';' {
			return false
		}
		b = blanks(b[1:])
		name := token(b)
		if name == 0 {
			return false
		}
		b = b[name:]
		value := blanks(b)
		if len(value) == 0 || value[0] != '=' {
			continue
		}
		value = blanks(value[1:])
		n := token(value)
		if n == 0 {
			n = quoted(value)
		}
		if n == 0 {
			return false
		}
		b = value[n:]
	}
	return true
}

func blanks(b []byte) []byte { return bytes.TrimLeft(b, " \t") }

// token returns how long the token is that b begins with.
func token(b []byte) (n int) {
	for n < len(b) && lower[b[n]] != 0 {
		n++
	}
	return n
}

// quoted returns how long the quoted-string is that b begins with (RFC 9110 section 5.6.4); 0: it begins with none.
func quoted(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i++; i == len(b) || control(b[i]) {
				return 0
			}
		case control(c):
			return 0
		}
	}
	return 0
}
