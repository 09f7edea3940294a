package authority

import (
	"net/netip"
	"slices"
	"strings"
)

// Names are the hosts that one certificate is valid for: the DNS names and IP addresses of its subject
// alternative names (RFC 6125, RFC 9110 section 4.3.4). A common name is not one of them. Names are immutable; nil
// covers nothing.
type Names struct {
	exact map[string]struct{} // hosts as in Authority.Host
	wild  map[string]struct{} // parents as in parentOf
	ips   map[string]struct{}
	list  []string
}

// NewNames compiles the subject alternative names of a certificate. A DNS name that is neither a host name nor
// a wildcard for a whole first label covers nothing and is left out, as every client leaves it out.
func NewNames(dns []string, ips []netip.Addr) *Names {
	n := &Names{exact: map[string]struct{}{}, wild: map[string]struct{}{}, ips: map[string]struct{}{}}
	for _, s := range dns {
		p, err := ParsePattern(s)
		if err != nil || strings.Contains(s, ":") || p.IsCatchAll() || p.at.IsIP() || s[len(s)-1] == '.' {
			continue
		}
		if p.IsWildcard() {
			n.wild["."+p.at.host] = struct{}{}
		} else {
			n.exact[p.at.host] = struct{}{}
		}
		n.list = append(n.list, p.String())
	}
	for _, ip := range ips {
		if ip.IsValid() && ip.Zone() == "" {
			n.ips[ip.String()] = struct{}{}
			n.list = append(n.list, ip.String())
		}
	}
	slices.Sort(n.list)
	n.list = slices.Compact(n.list)
	return n
}

// Covers reports whether the certificate is valid for the host of a. The port plays no part.
func (n *Names) Covers(a Authority) bool {
	if n == nil {
		return false
	}
	if a.IsIP() {
		_, ok := n.ips[a.host]
		return ok
	}
	if _, ok := n.exact[a.host]; ok {
		return true
	}
	parent, ok := parentOf(a)
	if !ok {
		return false
	}
	_, ok = n.wild[parent]
	return ok
}

// Lists reports whether the host stands literally in the certificate, not behind a wildcard.
func (n *Names) Lists(a Authority) bool {
	if n == nil {
		return false
	}
	_, name := n.exact[a.host]
	_, ip := n.ips[a.host]
	return !a.IsIP() && name || a.IsIP() && ip
}

// All returns the names in sorted order: hosts, wildcards and addresses. The caller must not change it.
func (n *Names) All() []string {
	if n == nil {
		return nil
	}
	return n.list
}
