package usher

import (
	"iter"
	"net/http"
	"strings"

	"github.com/usher-http/usher/authority"
)

// requestOf reads from a request what the decision looks at. ok is false where the server does not tell.
func (g *Guard) requestOf(r *http.Request, c *authority.Conn) (q authority.Request, ok bool) {
	q.Scheme = authority.HTTP
	if c.Secure || c.Terminated {
		// Behind a terminator that tells nothing, sites are taken to be asked for as clients ask for them.
		q.Scheme = authority.HTTPS
	}
	switch r.ProtoMajor {
	case 1:
		q.Authority = r.Host
		readTarget(r, &q)
	case 2:
		// r.Host is :authority or, without one, the first Host field.
		q.Authority, q.Hosts = r.Host, r.Header["Host"]
		if r.Context().Value(schemeKey{}) != nil {
			q.Scheme = authority.HTTP
		}
	default:
		q.Authority, q.Hosts = r.Host, r.Header["Host"]
		if r.URL.Scheme == "" {
			g.warned.once(g, missingScheme)
			return q, false
		}
		q.Scheme = authority.ParseScheme(r.URL.Scheme)
	}
	if c.Trusted {
		q.Scheme = forwardedScheme(r.Header, q.Scheme)
		q.ClientCert = forwardedClientCert(r.Header)
	}
	return q, true
}

// readTarget reads an absolute-form target, which counts in place of Host (RFC 9112 section 3.2.2). It reads the raw
// target, because url.Parse has taken userinfo and the like out of r.Host.
func readTarget(r *http.Request, q *authority.Request) {
	target := r.RequestURI
	if target == "" || target[0] == '/' || target == "*" {
		return
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		q.Authority, q.Scheme = "", authority.NoScheme
		return
	}
	q.Scheme = authority.ParseScheme(scheme)
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		rest = rest[:i]
	}
	q.Authority = rest
}

// unquoted splits a value where the separator stands outside of quoted strings (RFC 9110 section 5.6.4): a gateway may quote what its
// client has said.
func unquoted(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		from, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == separator && !quoted:
				if !yield(s[from:i]) {
					return
				}
				from = i + 1
			}
		}
		yield(s[from:])
	}
}

// A header finds fields by name: an http.Header, or what another server has in its place.
type header interface{ Values(name string) []string }

// forwardedScheme returns the scheme that a trusted gateway says its client used: the proto of the last element of
// Forwarded (RFC 7239 section 5.4), else X-Forwarded-Proto, else the one that the request has anyway.
func forwardedScheme(h header, own authority.Scheme) authority.Scheme {
	said := ""
	if list := h.Values("Forwarded"); len(list) > 0 {
		last := ""
		for element := range unquoted(list[len(list)-1], ',') {
			last = element
		}
		for pair := range unquoted(last, ';') {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "proto") {
				said = strings.Trim(value, `"`)
			}
		}
	}
	if list := h.Values("X-Forwarded-Proto"); said == "" && len(list) > 0 {
		last := list[len(list)-1]
		said = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	}
	if s := authority.ParseScheme(said); s != authority.NoScheme {
		return s
	}
	return own
}
