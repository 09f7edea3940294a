package authority

import "strconv"

// A Scheme is http or https. The zero Scheme is neither, and fits no connection.
type Scheme uint8

const (
	NoScheme Scheme = iota
	HTTP
	HTTPS
)

// ParseScheme folds ASCII case (RFC 3986 section 3.1). Every scheme but http and https is NoScheme.
func ParseScheme(s string) Scheme {
	switch {
	case s == "https":
		return HTTPS
	case s == "http":
		return HTTP
	case len(s) > len("https"):
		return NoScheme
	}
	switch lowerASCII(s) {
	case "https":
		return HTTPS
	case "http":
		return HTTP
	}
	return NoScheme
}

func (s Scheme) String() string {
	switch s {
	case HTTP:
		return "http"
	case HTTPS:
		return "https"
	}
	return "none"
}

// DefaultPort returns 80, 443 or, for NoScheme, 0.
func (s Scheme) DefaultPort() uint16 {
	switch s {
	case HTTP:
		return 80
	case HTTPS:
		return 443
	}
	return 0
}

// An Origin is scheme, host and port (RFC 9110 section 4.3.1). Its port is never 0.
type Origin struct {
	scheme Scheme
	host   Authority // its port is always set
}

// NewOrigin gives the authority the scheme's default port where it has none.
func NewOrigin(s Scheme, a Authority) Origin {
	if a.port == 0 {
		a.port = s.DefaultPort()
	}
	return Origin{scheme: s, host: a}
}

func (o Origin) Scheme() Scheme       { return o.scheme }
func (o Origin) Authority() Authority { return o.host }

// String returns the ASCII serialisation of RFC 6454 section 6.2: a default port is left out.
func (o Origin) String() string {
	bare := o.host.WithPort(0).String()
	if o.host.port == o.scheme.DefaultPort() {
		return o.scheme.String() + "://" + bare
	}
	return o.scheme.String() + "://" + bare + ":" + strconv.Itoa(int(o.host.port))
}
