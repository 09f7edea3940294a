package http1

import (
	"bytes"
	"strconv"

	"github.com/usher-http/usher/internal/message"
)

// A Scan looks for the end of a section of lines in a buffer that grows. The zero value is ready.
type Scan struct{ line, seen int } // where the last line begins; how far it was looked at

// End returns where the section that b begins with ends, behind its empty line; 0: that has not come yet. b begins where it began
// the last time. A line ends with CR LF: a bare LF, which RFC 9112 section 2.2 lets a recipient take for a line's end, is where two
// parsers part.
func (s *Scan) End(b []byte) (int, error) {
	for {
		i := bytes.IndexByte(b[s.seen:], '\n')
		if i < 0 {
			s.seen = len(b)
			return 0, nil
		}
		lf := s.seen + i
		if lf == s.line || b[lf-1] != '\r' {
			return 0, malformed("a line that ends with LF alone")
		}
		if b[s.line] == '\r' {
			if lf-1 != s.line {
				return 0, malformed("a bare CR")
			}
			return lf + 1, nil
		}
		s.line, s.seen = lf+1, lf+1
	}
}

// span is a field line as places in its section.
type span struct{ name, nameEnd, value, valueEnd int }

// A Section is a parser of field lines: header or trailer section. Its memory is used again. The zero value is ready.
type Section struct {
	spans []span
	text  string // of everything; the fields are parts of it
}

// Parse takes field lines from b[from:], the empty line included, as Scan has found them. It changes b: names become lower-case.
//
//	field-line = field-name ":" OWS field-value OWS
func (s *Section) Parse(b []byte, from int) error {
	s.spans = s.spans[:0]
	for at := from; ; {
		end := at + bytes.IndexByte(b[at:], '\r') // there is one: the section ends with CR LF
		if b[end+1] != '\n' {
			return malformed("a bare CR")
		}
		if end == at {
			s.text = string(b[:at])
			return nil
		}
		sp, err := parseLine(b, at, end)
		if err != nil {
			return err
		}
		s.spans = append(s.spans, sp)
		at = end + len("\r\n")
	}
}

func parseLine(b []byte, at, end int) (sp span, err error) {
	if b[at] == ' ' || b[at] == '\t' {
		// RFC 9112 section 5.2: "A server that receives an obs-fold in a request message [...] MUST either reject the message [...] or
		// replace each received obs-fold". A gateway has the same choice with a response message.
		return sp, malformed("a folded field line")
	}
	i := at
	for ; i < end && b[i] != ':'; i++ {
		c := lower[b[i]]
		if c == 0 {
			return sp, malformed("a field name with the byte " + strconv.QuoteRune(rune(b[i])))
		}
		b[i] = c
	}
	if i == end || i == at {
		return sp, malformed("a field line without a name")
	}
	sp = span{name: at, nameEnd: i}
	for i++; i < end && (b[i] == ' ' || b[i] == '\t'); i++ {
	}
	for end > i && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	sp.value, sp.valueEnd = i, end
	for ; i < end; i++ {
		if control(b[i]) {
			return sp, malformed("a field value with a control character")
		}
	}
	return sp, nil
}

// Len is the number of field lines.
func (s *Section) Len() int { return len(s.spans) }

// Field is one of them. Its strings may be kept.
func (s *Section) Field(i int) message.Field {
	sp := &s.spans[i]
	return message.Field{Name: s.text[sp.name:sp.nameEnd], Value: s.text[sp.value:sp.valueEnd]}
}

// How many field lines a Section keeps memory for.
const keptLines = 64

// Drop lets go of the text, and of more memory than most messages need.
func (s *Section) Drop() {
	s.text = ""
	if cap(s.spans) > keptLines {
		s.spans = nil
	}
}

func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// lower maps the bytes of a token to lower case (ASCII alone: what is not ASCII is no token), and all others to 0.
var lower = func() (to [256]byte) {
	for c := range byte(0x80) {
		if message.ValidToken(string(rune(c))) {
			to[c] = c
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		to[c] = byte(c) + 'a' - 'A'
	}
	return to
}()
