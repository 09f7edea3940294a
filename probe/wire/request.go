package wire

// A Protocol is how a connection speaks HTTP.
type Protocol string

const (
	H1 Protocol = "h1"
	H2 Protocol = "h2"
	H3 Protocol = "h3"
)

// String is the protocol as people know it.
func (p Protocol) String() string {
	switch p {
	case H1:
		return "HTTP/1.1"
	case H2:
		return "HTTP/2"
	case H3:
		return "HTTP/3"
	}
	return string(p)
}

// alpn is what the handshake offers.
func (p Protocol) alpn() []string {
	switch p {
	case H1:
		return []string{"http/1.1"}
	case H2:
		return []string{"h2"}
	}
	return []string{"h3"}
}

// A Request is what is to be sent, rightly or not. It has no content.
type Request struct {
	Method    string // empty: GET
	Scheme    string // :scheme; empty: https. HTTP/1.1 shows it in an absolute-form Target alone
	Authority string // Host, or :authority
	Path      string // empty: /
	// Target is HTTP/1.1's request target; empty: Path.
	Target string
	// Hosts are the Host fields; nil: HTTP/1.1 sends one with Authority, HTTP/2 and HTTP/3 none. An empty slice that is not nil sends none.
	Hosts []string
	// NoAuthority leaves :authority out.
	NoAuthority bool
	UserAgent   string
}

func (r *Request) method() string { return or(r.Method, "GET") }
func (r *Request) path() string   { return or(r.Path, "/") }

// fields are the header fields for HTTP/2 and HTTP/3, in pairs.
func (r *Request) fields() [][2]string {
	list := [][2]string{{":method", r.method()}, {":scheme", or(r.Scheme, "https")}}
	if !r.NoAuthority {
		list = append(list, [2]string{":authority", r.Authority})
	}
	list = append(list, [2]string{":path", r.path()})
	for _, h := range r.Hosts {
		list = append(list, [2]string{"host", h})
	}
	list = append(list, [2]string{"accept", "*/*"})
	if r.UserAgent != "" {
		list = append(list, [2]string{"user-agent", r.UserAgent})
	}
	return list
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
