package http1

import (
	"bytes"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// A Request parses the header sections of requests, one after the other. Its memory is used again. The zero value is ready.
type Request struct {
	Section
	// Persistent says that the client wants the connection to go on (RFC 9112 section 9.3).
	Persistent bool
	// Expects says that the client waits for a 100 before it sends its content (RFC 9110 section 10.1.1).
	Expects bool

	hosts, cookies    int
	host              string
	te, upgradeListed bool
	announces         bool // there is a field Trailer
	upgrades          int
	upgrade           string
	length            int64 // Content-Length; -1: there is none
	chunked           bool
	options           []string // the values of Connection
}

// fieldOverhead is what a field counts beside its bytes, as in HTTP/2 (RFC 9113 section 6.5.2): it costs memory to know it.
const fieldOverhead = 32

// Parse takes a whole header section, the request line and the empty line included, as Scan has found it. It changes b. r is filled in
// but for its Body; its Fields are made anew in the memory that they have, and their strings may be kept. most limits the section in
// bytes, with 32 more for each field. An error is an *Error: the connection cannot be used any more, since nobody knows where the
// next request begins.
//
//	HTTP-message = start-line CRLF *( field-line CRLF ) CRLF [ message-body ]
//	request-line = method SP request-target SP HTTP-version
func (p *Request) Parse(b []byte, r *message.Request, most int) error {
	line := bytes.IndexByte(b, '\r') // there is one: the section ends with CR LF
	switch {
	case line == 0:
		return malformed("an empty line in place of the request line")
	case b[line+1] != '\n':
		return malformed("a bare CR")
	}
	if err := p.Section.Parse(b, line+len("\r\n")); err != nil {
		return err
	}
	if len(b)+fieldOverhead*p.Len() > most {
		return ErrTooLarge
	}
	*r = message.Request{Fields: r.Fields[:0]}
	target, err := parseLineOfRequest(p.text[:line], r)
	if err != nil {
		return err
	}
	if err := p.readFields(r); err != nil {
		return err
	}
	if err := p.checkFraming(r); err != nil {
		return err
	}
	if err := p.readTarget(target, r); err != nil {
		return err
	}
	return p.takeOptions(r)
}

func parseLineOfRequest(line string, r *message.Request) (target string, err error) {
	method, target, version, ok := cutLine(line)
	if !ok {
		return "", malformed("the request line")
	}
	// HTTP-version = HTTP-name "/" DIGIT "." DIGIT
	if len(version) != len("HTTP/1.1") || version[:5] != "HTTP/" || version[6] != '.' || !digit(version[5]) || !digit(version[7]) {
		return "", malformed("the version")
	}
	if version[5] != '1' {
		if method == "PRI" {
			return "", malformed("the preface of HTTP/2")
		}
		return "", &Error{badVersion, "a version that is not spoken here"}
	}
	// RFC 9110 section 2.5: a higher minor version is taken for the highest that is known.
	r.Method, r.Major, r.Minor = method, 1, int(min(version[7]-'0', 1))
	return target, nil
}

func cutLine(line string) (method, target, version string, ok bool) {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	return method, target, version, ok && ok2 && message.ValidToken(method) && message.ValidTarget(target)
}

// RequestLine returns the method and the path of the request line that b begins with, for logs: of a request that is refused for
// something else. They are empty where they are not well-formed.
func RequestLine(b []byte) (method, path string) {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	method, target, _, ok := cutLine(string(line))
	if !ok {
		return "", ""
	}
	var r message.Request
	switch {
	case target[0] == '/' || target == "*":
		path = target
	case method != "CONNECT" && readAbsolute(target, &r) == nil:
		path = r.Target
	}
	path, _, _ = strings.Cut(path, "?")
	return method, path
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// readFields sorts out which fields are about the connection, and which are passed on.
func (p *Request) readFields(r *message.Request) error {
	p.hosts, p.cookies, p.upgrades, p.host, p.upgrade = 0, 0, 0, "", ""
	p.te, p.announces, p.chunked, p.Expects, p.length, p.options = false, false, false, false, -1, p.options[:0]
	for i := range p.Len() {
		f := p.Field(i)
		switch f.Name {
		case "host":
			p.hosts++
			p.host = f.Value
			continue
		case "content-length":
			n, ok := message.ParseLength(f.Value)
			if !ok || p.length >= 0 {
				return malformed("Content-Length, malformed or more than one")
			}
			p.length = n
			continue
		case "transfer-encoding":
			if p.chunked || !strings.EqualFold(f.Value, "chunked") {
				return &Error{notImplemented, "Transfer-Encoding other than chunked"}
			}
			p.chunked = true
		case "connection":
			p.options = append(p.options, f.Value)
		case "upgrade":
			p.upgrades++
			p.upgrade = f.Value
		case "te":
			p.te = p.te || listed(f.Value, "trailers")
		case "expect":
			if !strings.EqualFold(f.Value, "100-continue") {
				return &Error{expectation, "an expectation that is not known"}
			}
			// RFC 9110 section 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
			// expectation."
			p.Expects = r.Minor > 0
		case "cookie":
			p.cookies++
		case "trailer":
			p.announces = true
		}
		if !message.HopByHop(f.Name) {
			r.Fields = append(r.Fields, f)
		}
	}
	if p.cookies > 1 {
		joinCookies(r)
	}
	return nil
}

func listed(value, token string) bool {
	for item := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.Trim(item, " \t"), token) {
			return true
		}
	}
	return false
}

// joinCookies makes one field of several, in the place of the first (RFC 6265 section 5.4: there is one; RFC 9113 section 8.2.3).
func joinCookies(r *message.Request) {
	first := -1
	var all strings.Builder
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		if f.Name == "cookie" {
			if first >= 0 {
				all.WriteString("; ")
				all.WriteString(f.Value)
				continue
			}
			first = len(kept)
			all.WriteString(f.Value)
		}
		kept = append(kept, f)
	}
	kept[first].Value = all.String()
	r.Fields = kept
}

// checkFraming finds out where the content ends. RFC 9112 section 6.3 lets a server repair some of what is refused here; each of
// these repairs is one that some other server does not make.
func (p *Request) checkFraming(r *message.Request) error {
	switch {
	case p.chunked && r.Minor == 0:
		// RFC 9112 section 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST
		// treat the message as if the framing is faulty".
		return malformed("Transfer-Encoding in HTTP/1.0")
	case p.chunked && p.length >= 0:
		return malformed("Transfer-Encoding and Content-Length")
	case p.chunked && p.announces && Misannounces(r.Fields):
		return malformed("Trailer about framing")
	case p.chunked:
		r.Length = -1
	default:
		r.Length = max(0, p.length)
	}
	p.Expects = p.Expects && r.Length != 0
	return nil
}

// readTarget takes the four forms of RFC 9112 section 3.2.
func (p *Request) readTarget(target string, r *message.Request) error {
	// "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and to
	// any request message that contains more than one Host header field line or a Host header field with an invalid field value."
	if p.hosts > 1 || p.hosts == 0 && r.Minor > 0 || !ValidHost(p.host) {
		return malformed("Host, malformed, missing or more than one")
	}
	r.Authority = p.host
	switch {
	case r.Method == "CONNECT": // authority-form
		r.Authority = target
	case target[0] == '/': // origin-form
		r.Target = target
	case target == "*": // asterisk-form
		if r.Method != "OPTIONS" {
			return malformed("the target * in a request that is not OPTIONS")
		}
		r.Target = target
	default:
		return readAbsolute(target, r)
	}
	if strings.IndexByte(r.Target, '#') >= 0 {
		return malformed("a target with a fragment")
	}
	return nil
}

// readAbsolute takes
//
//	absolute-form = absolute-URI
//
// RFC 9112 section 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
// ignore the received Host header field (if any) and instead use the host information of the request-target."
func readAbsolute(target string, r *message.Request) error {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !validScheme(scheme) || strings.IndexByte(rest, '#') >= 0 {
		return malformed("the target")
	}
	r.Scheme, r.Authority, r.Target = scheme, rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		r.Authority, r.Target = rest[:i], rest[i:]
		if rest[i] == '?' {
			r.Target = "/" + r.Target
		}
	}
	return nil
}

// validScheme takes scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 section 3.1).
func validScheme(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
		case i > 0 && (digit(c) || c == '+' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// hostByte is uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 section 3.2.2) as a set of bytes.
var hostByte = func() (ok [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%:[]" {
		ok[c] = true
	}
	return ok
}()

// ValidHost reports whether s has the bytes of a Host alone; it may be empty, as RFC 9112 section 3.2 has it. Whether it is a good host
// is for others to say.
func ValidHost(s string) bool {
	for i := range len(s) {
		if !hostByte[s[i]] {
			return false
		}
	}
	return true
}

// maxOptions is how many connection options a request may have. Each is compared with every field.
const maxOptions = 32

// takeOptions reads Connection: whether it goes on, what is asked for instead of HTTP, and which fields are for us alone (RFC 9110
// section 7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for each
// connection-option in this field, remove any header or trailer field(s) from the message with the same name").
func (p *Request) takeOptions(r *message.Request) error {
	keepAlive, closes, n := false, false, 0
	p.upgradeListed = false
	for _, value := range p.options {
		for option := range strings.SplitSeq(value, ",") {
			option = strings.Trim(option, " \t")
			if n++; n > maxOptions {
				return malformed("too many connection options")
			}
			switch {
			case option == "":
			case strings.EqualFold(option, "keep-alive"):
				keepAlive = true
			case strings.EqualFold(option, "close"):
				closes = true
			case strings.EqualFold(option, "upgrade"):
				p.upgradeListed = true
			default:
				r.Fields = r.Fields.Without(func(name string) bool { return strings.EqualFold(name, option) })
			}
		}
	}
	p.Persistent = !closes && (keepAlive || r.Minor > 0)
	switch {
	case p.announces && !p.chunked: // there is no place for them
		r.Fields = r.Fields.Silent()
	case p.announces && n > 0:
		r.Fields = r.Fields.Announcing(func(name string) bool { return !p.Names(name) })
	}
	if p.te {
		r.Fields = append(r.Fields, message.Field{Name: "te", Value: "trailers"})
	}
	if p.asksForWebSocket(r) {
		r.Protocol = "websocket"
	}
	return nil
}

// Names reports whether Connection names a field, which is for us alone then, be it a trailer.
func (p *Request) Names(field string) bool {
	for _, value := range p.options {
		if listed(value, field) {
			return true
		}
	}
	return false
}

// asksForWebSocket holds for the one upgrade that is passed on. Behind an upgrade to h2c (or to TLS) the client could ask the upstream
// for any host and path, past the guard and the routes. A server may ignore an upgrade (RFC 9110 section 7.8), and from HTTP/1.0 it
// must.
func (p *Request) asksForWebSocket(r *message.Request) bool {
	return r.Minor > 0 && r.Method == "GET" && p.upgradeListed && p.upgrades == 1 && strings.EqualFold(p.upgrade, "websocket")
}

// Drop lets go of the text, and of more memory than most requests need.
func (p *Request) Drop() {
	p.Section.Drop()
	p.host, p.upgrade = "", ""
	clear(p.options[:cap(p.options)])
	if cap(p.options) > maxOptions {
		p.options = nil
	}
}
