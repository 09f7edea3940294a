package config

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"github.com/usher-http/usher/authority"
)

// checkHosts returns the patterns of a site; those that are wrong are reported and left out.
func (k *checker) checkHosts(c *cursor, hosts []string) []authority.Pattern {
	if len(hosts) == 0 {
		k.fail(c, "list them, as in hosts: [example.com]", "the site has no hosts")
	}
	seen := map[authority.Pattern]bool{}
	var patterns []authority.Pattern
	for i, h := range hosts {
		p, err := authority.ParsePattern(h)
		if err != nil {
			k.fail(c.item(i), hostHint(h), "host %q: %s", h, hostReason(err, h))
			continue
		}
		if seen[p] {
			k.fail(c.item(i), "", "host %q is given twice in this site", h)
			continue
		}
		seen[p] = true
		patterns = append(patterns, p)
	}
	return patterns
}

func hostReason(err error, host string) string {
	if !isASCII(host) {
		return "international names are written as A-labels"
	}
	var e *authority.ParseError
	if errors.As(err, &e) {
		return e.Reason
	}
	return err.Error()
}

func hostHint(host string) string {
	if !isASCII(host) {
		return asciiHint(host)
	}
	if strings.Contains(host, "://") {
		return "a host is written without scheme and path, as in example.com"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "write \"[" + ip.WithZone("").String() + "]\""
	}
	return ""
}

// asciiHint gives the A-labels of an international name (RFC 5891).
func asciiHint(host string) string {
	name, wild := host, ""
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		name, wild = rest, "*."
	}
	port := ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name, port = name[:i], name[i:]
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "it is no international name either"
	}
	if _, err := authority.ParsePattern(wild + ascii + port); err != nil {
		return "it is no international name either"
	}
	return "write \"" + wild + ascii + port + "\""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// checkOwners refuses a host that two sites have on a listener that both share, under the same port: the rule of
// authority.NewTable, with places.
func (k *checker) checkOwners() {
	owners := map[authority.Pattern][]*Site{}
	for _, s := range k.sites {
		for _, p := range s.Patterns {
			for _, other := range owners[p] {
				if k.shareListener(s, other, false) {
					k.ownedTwice(s, other, p)
					break
				}
			}
			owners[p] = append(owners[p], s)
		}
	}
}

func (k *checker) ownedTwice(s, other *Site, p authority.Pattern) {
	at := k.hostAt(s, p)
	first := k.hostAt(other, p).place().Line
	if p.IsCatchAll() {
		k.fail(at, "", "site %q has the catch-all host \"*\" already, in line %d", other.Name, first)
		return
	}
	k.fail(at, "", "site %q has the host %q already, in line %d", other.Name, p, first)
}

// hostAt is where the site has this host in the file.
func (k *checker) hostAt(s *Site, p authority.Pattern) *cursor {
	hosts := k.siteAt[s].key("hosts")
	if hosts.node != nil {
		for i := range hosts.node.Content {
			item := hosts.item(i)
			if q, err := authority.ParsePattern(item.node.Value); err == nil && q == p {
				return item
			}
		}
	}
	return hosts
}

// shareListener reports whether both sites are served on one listener; tls leaves plaintext listeners out.
func (k *checker) shareListener(a, b *Site, tls bool) bool {
	for name, l := range k.listeners {
		if a.On(name) && b.On(name) && (!tls || l.Scheme == authority.HTTPS) {
			return true
		}
	}
	return false
}
