package probe

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/usher-http/usher/authority"
)

// A Target is a host with its port, under which an https site is to be found. Its port is never 0.
type Target struct{ authority.Authority }

// ParseTarget reads a name as people type it: a host, a host with a port, or an https URL, whose path is left out.
func ParseTarget(s string) (Target, error) {
	s = strings.TrimSpace(s)
	if rest, ok := cutPrefixFold(s, "https://"); ok {
		s = rest
		if i := strings.IndexAny(s, "/?#"); i >= 0 {
			s = s[:i]
		}
	} else if strings.Contains(s, "://") {
		return Target{}, fmt.Errorf("%q: only https can be probed", s)
	}
	a, err := authority.Parse(s)
	if err != nil {
		if a, err2 := authority.ParseHost(s); err2 == nil { // an IPv6 address without brackets
			return Target{a.WithPort(443)}, nil
		}
		return Target{}, err
	}
	if a.Port() == 0 {
		a = a.WithPort(443)
	}
	return Target{a}, nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// Name is the authority as a client sends it: without the default port.
func (t Target) Name() string {
	if t.Port() == 443 {
		return t.WithPort(0).String()
	}
	return t.String()
}

// SNI is the server name of the target's own connections; IP literals have none (RFC 6066 section 3).
func (t Target) SNI() string {
	if t.IsIP() {
		return ""
	}
	return t.Host()
}

// A ConnectTo redirects connections, as curl's --connect-to does: those for HOST:PORT go to an address and port instead. An empty host
// or port stands for any; an empty address or port to go to stands for the one that was wanted.
type ConnectTo struct {
	Host, Port     string
	ToHost, ToPort string
}

// ParseConnectTo reads HOST:PORT:ADDRESS:PORT. IPv6 addresses stand in brackets.
func ParseConnectTo(s string) (ConnectTo, error) {
	var parts []string
	for rest := s; ; {
		end := strings.IndexByte(rest, ':')
		if strings.HasPrefix(rest, "[") {
			if i := strings.IndexByte(rest, ']'); i > 0 {
				end = i + 1
				if end < len(rest) && rest[end] != ':' {
					return ConnectTo{}, fmt.Errorf("%q: nothing but a colon may follow a bracket", s)
				}
				if end == len(rest) {
					end = -1
				}
			}
		}
		if end < 0 {
			parts = append(parts, rest)
			break
		}
		parts = append(parts, rest[:end])
		rest = rest[end+1:]
	}
	if len(parts) != 4 {
		return ConnectTo{}, fmt.Errorf("%q is not HOST:PORT:ADDRESS:PORT", s)
	}
	for _, port := range []string{parts[1], parts[3]} {
		if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
			return ConnectTo{}, fmt.Errorf("%q: %q is no port", s, port)
		}
	}
	host := strings.ToLower(strings.Trim(parts[0], "[]"))
	if a, err := authority.ParseHost(host); err == nil {
		host = a.Host() // as targets have it
	}
	return ConnectTo{host, parts[1], strings.Trim(parts[2], "[]"), parts[3]}, nil
}

// redirect returns the host and port to connect to for a target, the first entry that fits.
func redirect(list []ConnectTo, t Target) (host string, port uint16) {
	host, port = t.Host(), t.Port()
	for _, c := range list {
		if c.Host != "" && c.Host != host || c.Port != "" && c.Port != strconv.Itoa(int(port)) {
			continue
		}
		if c.ToHost != "" {
			host = c.ToHost
		}
		if n, err := strconv.Atoi(c.ToPort); err == nil {
			port = uint16(n)
		}
		break
	}
	return host, port
}

// joined returns addresses with a port.
func joined(addresses []netip.Addr, port uint16) []netip.AddrPort {
	list := make([]netip.AddrPort, len(addresses))
	for i, a := range addresses {
		list[i] = netip.AddrPortFrom(a.Unmap(), port)
	}
	return list
}
