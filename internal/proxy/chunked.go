package proxy

import (
	"bytes"
	"io"

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
)

const (
	// maxChunkLine is the length of a line with a chunk's size.
	maxChunkLine = 1 << 10
	// maxExtensions is how many bytes of chunk extensions an answer may have beyond those of its content: who sends more of them
	// than content wants to waste our time.
	maxExtensions = 16 << 10
	// maxChunkDigits keeps a size below 2^60, so that it cannot overflow.
	maxChunkDigits = 15
)

// readChunked reads from as many chunks as are at hand. It waits only for the first byte.
func (c *conn) readChunked(p []byte) (n int, err error) {
	b := &c.body
	for n < len(p) {
		ready, err := c.advance()
		switch {
		case err != nil:
			return n, err
		case b.over:
			return n, io.EOF
		case c.r < c.w && ready:
			m := copy(p[n:], c.in[c.r:c.r+int(min(b.left, int64(c.w-c.r)))])
			c.r += m
			b.left -= int64(m)
			n += m
			continue
		case n > 0:
			return n, nil
		}
		if room := min(int64(len(p)), b.left); ready && room >= direct {
			n, err = c.wait(p[:room])
			b.left -= int64(n)
			return n, err
		}
		if err := c.more(); err != nil {
			return n, err
		}
	}
	if _, err := c.advance(); err == nil && b.over {
		return n, io.EOF
	}
	return n, nil // an error comes again with the next call
}

// advance uses up what is at hand of the coding, up to the next content. ready says that content follows; otherwise, if the end was
// not reached, more has to be read.
func (c *conn) advance() (ready bool, err error) {
	b := &c.body
	for !b.over {
		at := c.in[c.r:c.w]
		switch b.chunk {
		case chunkData:
			if b.left > 0 {
				return true, nil
			}
			b.chunk = chunkEnd
		case chunkEnd:
			if len(at) > 0 && at[0] != '\r' || len(at) > 1 && at[1] != '\n' {
				return false, &MalformedError{"chunk data that is longer than its size"}
			}
			if len(at) < 2 {
				return false, nil
			}
			c.r += 2
			b.chunk = chunkSize
		case chunkSize:
			if ok, err := c.startChunk(at); !ok || err != nil {
				return false, err
			}
		case chunkTrailers:
			if ok, err := c.endChunks(at); !ok || err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

func (c *conn) startChunk(at []byte) (bool, error) {
	lf := bytes.IndexByte(at, '\n')
	if lf > maxChunkLine || lf < 0 && len(at) > maxChunkLine {
		return false, &MalformedError{"a chunk's size line that is too long"}
	}
	if lf < 0 {
		return false, nil
	}
	if lf == 0 || at[lf-1] != '\r' {
		return false, &MalformedError{"a chunk's size line that ends with LF alone"}
	}
	b := &c.body
	size, extension, err := parseChunkLine(at[:lf-1])
	if err != nil {
		return false, err
	}
	if b.extensions += int64(extension); b.extensions > maxExtensions {
		return false, &MalformedError{"too many chunk extensions"}
	}
	b.extensions = max(0, b.extensions-size)
	c.r += lf + 1
	b.left, b.chunk = size, chunkData
	if size == 0 {
		b.chunk = chunkTrailers
	}
	return true, nil
}

// endChunks reads the trailer section.
func (c *conn) endChunks(at []byte) (bool, error) {
	most := c.pool.server.config.MaxHeaderBytes
	b := &c.body
	n, err := b.scan.end(at)
	if n > most || n == 0 && len(at) >= most {
		return false, &MalformedError{"a trailer section that is too large"}
	}
	if n == 0 || err != nil {
		return false, err
	}
	if n > len("\r\n") {
		var s section
		if err := s.parse(at[:n]); err != nil {
			return false, err
		}
		for i := range s.spans {
			if f := s.field(i); trailing(f.Name) {
				b.trailers = append(b.trailers, f)
			}
		}
	}
	c.r += n
	b.over = true
	return true, nil
}

// trailing reports whether a field may stand behind the content. What has to be known before the content, or decides where it
// ends and for whom it is, may not (RFC 9110 section 6.5.1); there it is ignored.
func trailing(name string) bool {
	switch name {
	case "content-length", "content-type", "content-encoding", "content-range", "host", "authorization", "set-cookie", "cookie",
		"www-authenticate", "cache-control", "expires", "age", "date", "location", "retry-after", "vary", "warning", "expect",
		"max-forwards", "pragma", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range":
		return false
	}
	return !message.HopByHop(name)
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
			return 0, 0, &MalformedError{"a chunk's size that is too large"}
		}
		size = size<<4 | int64(d)
	}
	if i == 0 || !extensions(b[i:]) {
		return 0, 0, &MalformedError{"a chunk's size"}
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
		name := token(blanks(b[1:]))
		if name == 0 {
			return false
		}
		b = blanks(b[1:])[name:]
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

func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
