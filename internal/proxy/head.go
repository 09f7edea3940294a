package proxy

import (
	"bytes"
	"strings"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// A head is the header section of an answer, understood.
type head struct {
	lines         http1.Section
	minor, status int
	fields        message.Fields // without what is about the connection
	length        int64          // Content-Length; -1: there is none
	chunked       bool
	persistent    bool // the connection may be used again, as far as this section goes
	options       []string
	announces     bool   // there is a field Trailer
	upgrade       string // the last protocol that was named
}

// parse takes a whole header section, the status line and the empty line included. It changes b.
func (h *head) parse(b []byte) error {
	line := bytes.IndexByte(b, '\r')
	if line < 0 || b[line+1] != '\n' {
		return &MalformedError{"a bare CR"}
	}
	if err := h.parseStatusLine(b[:line]); err != nil {
		return err
	}
	if err := h.lines.Parse(b[line+2:], 0); err != nil {
		return asMalformed(err)
	}
	return h.understand()
}

// parseStatusLine takes
//
//	status-line = HTTP-version SP status-code SP [ reason-phrase ]
//
// without its end. The second space may be missing where the phrase is: that cannot be read in two ways.
func (h *head) parseStatusLine(b []byte) error {
	const form = "HTTP/1.x 200"
	if len(b) < len(form) || string(b[:7]) != "HTTP/1." || b[7] != '0' && b[7] != '1' || b[8] != ' ' ||
		len(b) > len(form) && b[len(form)] != ' ' {
		return &MalformedError{"the status line"}
	}
	h.minor, h.status = int(b[7]-'0'), 0
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return &MalformedError{"the status code"}
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 {
		return &MalformedError{"the status code"}
	}
	for _, c := range b[12:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return &MalformedError{"the reason phrase"}
		}
	}
	return nil
}

// understand finds out what the fields say of framing and of the connection. RFC 9112 section 6.3 lets a recipient repair some
// of what is refused here; each of these repairs is one that some other parser does not make.
func (h *head) understand() error {
	h.fields, h.length, h.chunked, h.upgrade = h.fields[:0], -1, false, ""
	h.options, h.announces = h.options[:0], false
	for i := range h.lines.Len() {
		f := h.lines.Field(i)
		switch f.Name {
		case "content-length":
			n, ok := message.ParseLength(f.Value)
			if !ok || h.length >= 0 {
				return &MalformedError{"Content-Length, malformed or more than one"}
			}
			h.length = n
		case "transfer-encoding":
			if h.chunked || !strings.EqualFold(f.Value, "chunked") {
				return &MalformedError{"Transfer-Encoding other than chunked"}
			}
			h.chunked = true
		case "connection":
			h.options = append(h.options, f.Value)
		case "upgrade":
			h.upgrade = f.Value
		case "trailer":
			h.announces = true
		}
		if !message.HopByHop(f.Name) {
			h.fields = append(h.fields, f)
		}
	}
	switch {
	case h.chunked && h.length >= 0:
		return &MalformedError{"Transfer-Encoding and Content-Length"}
	case h.chunked && h.minor == 0: // RFC 9112 section 6.1: the framing is faulty
		return &MalformedError{"Transfer-Encoding in HTTP/1.0"}
	case h.chunked && h.announces && http1.Misannounces(h.fields):
		return &MalformedError{"Trailer about framing"}
	}
	h.takeOptions()
	switch {
	case h.announces && !h.chunked: // there is no place for them
		h.fields = h.fields.Silent()
	case h.announces:
		h.fields = h.fields.Announcing(func(name string) bool { return http1.Trailing(name) && !h.names(name) })
	}
	return nil
}

// names reports whether Connection names a field, which is for us alone then, be it a trailer.
func (h *head) names(field string) bool {
	for _, value := range h.options {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(option, " \t"), field) {
				return true
			}
		}
	}
	return false
}

// takeOptions reads Connection: whether it goes on (RFC 9112 section 9.3), and which fields are for us alone (RFC 9110 section
// 7.6.1).
func (h *head) takeOptions() {
	h.persistent = h.minor == 1
	for _, value := range h.options {
		for option := range strings.SplitSeq(value, ",") {
			option = strings.ToLower(strings.Trim(option, " \t"))
			switch option {
			case "close":
				h.persistent = false
			case "keep-alive":
				// HTTP/1.0 with keep-alive works, but gains little and is where framing is guessed most often.
			case "", "upgrade":
			case "content-length":
				// It is the length that the content has, whatever is said of the field.
			default:
				h.fields = h.fields.Without(func(name string) bool { return name == option })
			}
		}
	}
}

// drop lets go of more memory than most answers need.
func (h *head) drop() {
	const most = 64
	if cap(h.fields) > most {
		h.fields = nil
	}
	h.lines.Drop()
	clear(h.fields[:cap(h.fields)])
	h.fields = h.fields[:0]
	clear(h.options)
	h.options = h.options[:0]
}
