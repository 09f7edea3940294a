package h2

import (
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// A section is a header section while it is decoded, and what is known of it then.
type section struct {
	kind      sectionKind
	req       *message.Request
	trailers  message.Fields
	crumbs    []string // the cookie fields, where there are several
	cookie    int      // where the first of them is among the fields
	size      uint64   // decoded, as RFC 9113 section 6.5.2 counts
	length    int64    // Content-Length; negative: none
	pseudo    pseudo   // which came
	urgency   uint8
	regular   bool // a field that is no pseudo-field came
	te        bool
	announces bool   // there is a field Trailer
	bad       string // why it is malformed; empty: it is not
	large     bool   // exceeds MaxHeaderBytes
	bomb      bool   // exceeds what is read of a section that is too large
}

type sectionKind uint8

const (
	ignoredSection sectionKind = iota // decoded because the table of HPACK must stay right
	requestSection
	trailerSection
)

// pseudo is a set of pseudo-fields (RFC 9113 section 8.3.1, RFC 8441 section 4).
type pseudo uint8

const (
	pseudoMethod pseudo = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
)

// decode reads a field block. An error is one of the connection: the table is lost.
func (s *Session) decode(kind sectionKind, st *Stream, fragments []byte) *ConnError {
	sec := &s.section
	*sec = section{kind: kind, crumbs: sec.crumbs[:0], length: -1, urgency: unknownUrgency}
	if st != nil {
		sec.req = &st.req
	}
	s.dec.SetEmitEnabled(kind != ignoredSection)
	_, err := s.dec.Write(fragments)
	if err == nil {
		err = s.dec.Close()
	}
	switch {
	case err != nil:
		// "A decoding error in a field block MUST be treated as a connection error of type COMPRESSION_ERROR."
		return connError(CompressionError, err.Error())
	case sec.bomb:
		return connError(EnhanceYourCalm, "a header section is many times too large")
	}
	return nil
}

// field takes one field from the decoder.
func (s *Session) field(f hpack.HeaderField) {
	sec := &s.section
	sec.size += uint64(len(f.Name)+len(f.Value)) + 32
	if limit := uint64(s.c.MaxHeaderBytes); sec.size > limit {
		sec.large = true
		if sec.size > hardLimit*limit {
			sec.bomb = true
			s.dec.SetEmitEnabled(false)
		}
		return
	}
	if sec.bad != "" {
		return
	}
	if !message.ValidValue(f.Value) {
		sec.bad = "a field value with a control character, or with a blank at an end"
		return
	}
	if sec.kind == trailerSection {
		sec.trailer(f.Name, f.Value)
	} else {
		sec.request(f.Name, f.Value)
	}
}

// trailer takes a field of a trailer section. Those that say how a message is to be read or routed have no business there
// (RFC 9110 section 6.5.1): they are malformed where RFC 9113 says so, and dropped otherwise.
func (sec *section) trailer(name, value string) {
	switch {
	case !message.ValidName(name), connectionSpecific(name):
		sec.bad = "the trailers" // pseudo-fields too: a colon is in no token
	case message.HopByHop(name), name == "host", name == "content-length", name == "trailer":
	default:
		sec.trailers = append(sec.trailers, message.Field{Name: name, Value: value})
	}
}

// connectionSpecific reports whether a field makes a message malformed: "An endpoint MUST NOT generate an HTTP/2 message containing
// connection-specific header fields. ... Any message containing connection-specific header fields MUST be treated as malformed."
func connectionSpecific(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// request takes a field of a request.
func (sec *section) request(name, value string) {
	if strings.HasPrefix(name, ":") {
		if sec.regular || !sec.pseudoField(name, value) {
			sec.bad = "a pseudo-field that is unknown, late or there twice"
		}
		return
	}
	sec.regular = true
	r := sec.req
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		sec.bad = "a field about the connection: " + name
	case "te":
		// "The only exception to this is the TE header field, which MAY be present in an HTTP/2 request; when it is, it MUST NOT
		// contain any value other than "trailers"."
		if sec.te || value != "trailers" {
			sec.bad = "TE other than trailers"
			return
		}
		sec.te = true
		r.Fields = append(r.Fields, message.Field{Name: name, Value: value})
	case "content-length":
		n, ok := message.ParseLength(value)
		if !ok || sec.length >= 0 {
			sec.bad = "Content-Length, malformed or more than one"
		}
		sec.length = n
	case "host":
		r.Hosts = append(r.Hosts, value)
	case "cookie":
		sec.addCookie(value)
	case "proxy-authenticate", "proxy-authorization", "http2-settings":
		// These are about this connection: they are not passed on (message.HopByHop).
	default:
		switch name {
		case "priority":
			sec.urgency = parseUrgency(value)
		case "trailer":
			sec.announces = true
		}
		if !message.ValidName(name) {
			sec.bad = "a field name that is no token in lower case"
			return
		}
		r.Fields = append(r.Fields, message.Field{Name: name, Value: value})
	}
}

// pseudoField takes a pseudo-field; ok is false where it is unknown, one of an answer, or the second of its kind.
func (sec *section) pseudoField(name, value string) (ok bool) {
	var bit pseudo
	r := sec.req
	switch name {
	case ":method":
		bit, r.Method = pseudoMethod, value
	case ":scheme":
		bit, r.Scheme = pseudoScheme, value
	case ":authority":
		bit, r.Authority = pseudoAuthority, value
	case ":path":
		bit, r.Target = pseudoPath, value
	case ":protocol":
		bit, r.Protocol = pseudoProtocol, strings.ToLower(value)
	default:
		return false
	}
	ok = sec.pseudo&bit == 0
	sec.pseudo |= bit
	return ok
}

// addCookie keeps cookie fields as one: "If there are multiple Cookie header fields after decompression, these MUST be concatenated
// into a single octet string using the two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ")" (RFC 9113 section 8.2.3).
func (sec *section) addCookie(value string) {
	r := sec.req
	if len(sec.crumbs) == 0 {
		sec.cookie = len(r.Fields)
		r.Fields = append(r.Fields, message.Field{Name: "cookie", Value: value})
	}
	sec.crumbs = append(sec.crumbs, value)
}

// finish judges a request as a whole (RFC 9113 section 8.3.1). Whether the authority is one, and agrees with Host, is for others to
// say, and so is which schemes are served.
func (sec *section) finish(r *message.Request, end bool) (ok bool) {
	switch {
	case sec.bad != "":
		return false
	case !sec.targetOK(r):
		sec.bad = "a pseudo-field that is missing, malformed or too many"
		return false
	}
	r.Major = 2
	switch {
	case end:
		// No content at all is as wrong as too little.
		if sec.length > 0 {
			sec.bad = "less content than Content-Length says"
			return false
		}
		if sec.announces {
			r.Fields = r.Fields.Silent()
		}
	default:
		r.Length = sec.length
	}
	if sec.pseudo&pseudoAuthority == 0 && len(r.Hosts) > 0 {
		r.Authority = r.Hosts[0]
	}
	if len(sec.crumbs) > 1 {
		r.Fields[sec.cookie].Value = strings.Join(sec.crumbs, "; ")
	}
	clear(sec.crumbs)
	return true
}

// targetOK checks which pseudo-fields there are, and what is in them.
func (sec *section) targetOK(r *message.Request) bool {
	has := func(p pseudo) bool { return sec.pseudo&p == p }
	if !message.ValidToken(r.Method) {
		return false
	}
	if r.Method == "CONNECT" && !has(pseudoProtocol) {
		// "The ":scheme" and ":path" pseudo-header fields MUST be omitted. The ":authority" pseudo-header field contains the
		// host and port to connect to ... A CONNECT request that does not conform to these restrictions is malformed".
		return sec.pseudo == pseudoMethod|pseudoAuthority
	}
	if has(pseudoProtocol) && (r.Method != "CONNECT" || !message.ValidToken(r.Protocol)) {
		return false
	}
	// "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path" pseudo-header fields,
	// unless they are CONNECT requests". With :protocol, CONNECT is like the others (RFC 8441 section 4).
	return has(pseudoMethod|pseudoScheme|pseudoPath) && validScheme(r.Scheme) && validPath(r)
}

func validPath(r *message.Request) bool {
	if r.Target == "*" {
		return r.Method == "OPTIONS"
	}
	return strings.HasPrefix(r.Target, "/") && message.ValidTarget(r.Target)
}
