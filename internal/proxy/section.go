package proxy

import (
	"bytes"
	"strconv"

	"github.com/usher-http/usher/internal/message"
)

// A scan looks for the end of a section of field lines in a buffer that grows.
type scan struct{ line, seen int } // where the last line begins; how far it was looked at

// end returns where the section ends, behind its empty line; 0: that has not come yet. A line ends with CR LF: a bare LF, which
// RFC 9112 section 2.2 lets a recipient take for a line's end, is where two parsers part.
func (s *scan) end(b []byte) (int, error) {
	for {
		i := bytes.IndexByte(b[s.seen:], '\n')
		if i < 0 {
			s.seen = len(b)
			return 0, nil
		}
		lf := s.seen + i
		if lf == s.line || b[lf-1] != '\r' {
			return 0, &MalformedError{"a line that ends with LF alone"}
		}
		if b[s.line] == '\r' {
			if lf-1 != s.line {
				return 0, &MalformedError{"a bare CR"}
			}
			return lf + 1, nil
		}
		s.line, s.seen = lf+1, lf+1
	}
}

// span is a field line as places in its section.
type span struct{ name, nameEnd, value, valueEnd int }

// A section is a parser of field lines: header or trailer section. Its memory is used again.
type section struct {
	spans []span
	text  string // of all the lines; the fields are parts of it
}

// parse takes a whole section, the empty line included. It changes b: names become lower-case.
//
//	field-line = field-name ":" OWS field-value OWS
func (s *section) parse(b []byte) error {
	s.spans = s.spans[:0]
	for at := 0; ; {
		end := at + bytes.IndexByte(b[at:], '\r') // there is one: the section ends with CR LF
		if b[end+1] != '\n' {
			return &MalformedError{"a bare CR"}
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
		at = end + 2
	}
}

func parseLine(b []byte, at, end int) (sp span, err error) {
	if b[at] == ' ' || b[at] == '\t' {
		// RFC 9112 section 5.2: a gateway that receives an obs-fold in a response discards the message or unfolds it.
		return sp, &MalformedError{"a folded field line"}
	}
	i := at
	for ; i < end && b[i] != ':'; i++ {
		c := lower[b[i]]
		if c == 0 {
			return sp, &MalformedError{"a field name with the byte " + strconv.QuoteRune(rune(b[i]))}
		}
		b[i] = c
	}
	if i == end || i == at {
		return sp, &MalformedError{"a field line without a name"}
	}
	sp = span{name: at, nameEnd: i}
	for i++; i < end && (b[i] == ' ' || b[i] == '\t'); i++ {
	}
	for end > i && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	sp.value, sp.valueEnd = i, end
	for ; i < end; i++ {
		if c := b[i]; c < ' ' && c != '\t' || c == 0x7f {
			return sp, &MalformedError{"a field value with a control character"}
		}
	}
	return sp, nil
}

func (s *section) field(i int) message.Field {
	sp := s.spans[i]
	return message.Field{Name: s.text[sp.name:sp.nameEnd], Value: s.text[sp.value:sp.valueEnd]}
}

// lower maps the bytes of a token to lower case (ASCII alone: what is not ASCII is no token), and all others to 0.
var lower = func() (to [256]byte) {
	for c := range to {
		if name := string(rune(c)); c < 0x80 && message.ValidToken(name) {
			to[c] = byte(c)
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		to[c] = byte(c) + 'a' - 'A'
	}
	return to
}()
