package originframe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/usher-http/usher/authority"
)

// maxOrigin is the longest serialisation: scheme, name, colon, five digits. Longer input is refused unread.
const maxOrigin = len("https://") + 253 + len(":65535")

// ParseOrigin reads the ASCII serialisation of an origin (RFC 6454 section 6.2) and nothing else:
//
//	origin = ( "http" / "https" ) "://" host [ ":" port ]
//
// where host is as in [authority.Parse], in canonical form: lower case, no trailing dot, IP addresses in their shortest
// spelling, IPv6 in brackets; port has no leading zero and is not the default of the scheme. So for every s that
// is accepted, the origin's String is s. "null", other schemes, userinfo, paths and wildcards are errors. The
// error is a [*ParseError].
func ParseOrigin(s string) (authority.Origin, error) {
	if len(s) > maxOrigin {
		return authority.Origin{}, &ParseError{s, maxOrigin, "too long"}
	}
	name, rest, ok := strings.Cut(s, "://")
	if !ok {
		return authority.Origin{}, &ParseError{s, 0, "no scheme and host, as in https://www.example.com"}
	}
	scheme := authority.ParseScheme(name)
	if scheme == authority.NoScheme {
		return authority.Origin{}, &ParseError{s, 0, "the scheme is neither http nor https"}
	}
	a, err := authority.Parse(rest)
	if err != nil {
		return authority.Origin{}, authorityError(s, len(s)-len(rest), err)
	}
	o := authority.NewOrigin(scheme, a)
	// The lenient parts of authority.Parse end here. Two spellings of one origin would be one to us and two to
	// whoever compares strings.
	if canonical := o.String(); canonical != s {
		return authority.Origin{}, &ParseError{s, firstDifference(s, canonical), "not in canonical form"}
	}
	return o, nil
}

func authorityError(s string, offset int, err error) error {
	var e *authority.ParseError
	if errors.As(err, &e) {
		return &ParseError{s, offset + e.Offset, e.Reason}
	}
	return &ParseError{s, offset, err.Error()}
}

func firstDifference(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// InitialOrigin returns the first member of a connection's Origin Set (RFC 8336 section 2.3): https, the server
// name that the client sent (or, without one, the server's IP address) and the server's port, remote being the
// server's end as the client sees it. An IP literal in place of a server name counts as none, since RFC 6066 section
// 3 does not allow it. An address with a zone names no origin and is an error.
func InitialOrigin(serverName string, remote netip.AddrPort) (authority.Origin, error) {
	if remote.Port() == 0 {
		return authority.Origin{}, fmt.Errorf("initial origin: the connection's remote address %q has no port", remote)
	}
	host, err := authority.Authority{}, error(nil)
	if serverName != "" {
		if host, err = authority.ParseHost(serverName); err != nil {
			return authority.Origin{}, fmt.Errorf("initial origin: server name: %w", err)
		}
	}
	if !host.IsValid() || host.IsIP() {
		if host, err = authority.ParseHost(remote.Addr().Unmap().String()); err != nil {
			return authority.Origin{}, fmt.Errorf("initial origin: remote address: %w", err)
		}
	}
	return authority.NewOrigin(authority.HTTPS, host.WithPort(remote.Port())), nil
}
