package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/usher-http/usher/authority"
)

// checkHosts fills in the patterns of a site; those that are wrong are reported and left out.
func (k *checker) checkHosts(c *cursor, hosts []string, s *Site) {
	if len(hosts) == 0 {
		k.fail(c, "list them, as in hosts: [example.com]", "the site has no hosts")
	}
	seen := map[authority.Pattern]bool{}
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
		s.Patterns = append(s.Patterns, p)
		s.hostItems = append(s.hostItems, i)
	}
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

// An owner is a site with one of its hosts.
type owner struct {
	site *Site
	host int // index in Patterns
}

// checkOwners refuses a host that two sites have on a listener that both share, under the same port: the rule of
// authority.NewTable, with places.
func (k *checker) checkOwners() {
	owners := map[authority.Pattern][]owner{}
	for _, s := range k.sites {
		for i, p := range s.Patterns {
			for _, other := range owners[p] {
				// There is one catch-all for all listeners, because handshakes fall back on it.
				if p.IsCatchAll() || k.shareListener(s, other.site, false) {
					k.ownedTwice(owner{s, i}, other)
					break
				}
			}
			owners[p] = append(owners[p], owner{s, i})
		}
	}
}

func (k *checker) ownedTwice(o, other owner) {
	p := o.site.Patterns[o.host]
	what := "host " + strconv.Quote(p.String())
	if p.IsCatchAll() {
		what = "catch-all host \"*\""
	}
	k.fail(k.hostAt(o), "", "site %q has the %s already, in line %d", other.site.Name, what, k.hostAt(other).place().Line)
}

// checkPorts refuses a host that is narrowed to a port which no listener of its site has: every request for it would be
// refused.
func (k *checker) checkPorts() {
	for _, s := range k.sites {
		for i, p := range s.Patterns {
			if port := p.Port(); port != 0 && !k.hasPort(s, port) {
				k.fail(k.hostAt(owner{s, i}), fmt.Sprintf("leave the port out, or give a listener of the site public_ports: [%d]", port),
					"host %q: no listener of the site has port %d", p, port)
			}
		}
	}
}

// hasPort reports whether clients reach the site under the port: a listener of it has the port, or leaves the choice to the
// system; or it is the default port of a listener's scheme, and nobody's.
func (k *checker) hasPort(s *Site, port uint16) bool {
	for name, l := range k.listeners {
		if s.On(name) && (l.Port == 0 || slices.Contains(l.Ports(l.Port), port) || port == l.Scheme.DefaultPort() && !k.taken(l.Scheme, port)) {
			return true
		}
	}
	return false
}

// taken reports whether any listener of the scheme has the port.
func (k *checker) taken(scheme authority.Scheme, port uint16) bool {
	for _, l := range k.listeners {
		if l.Scheme == scheme && slices.Contains(l.Ports(l.Port), port) {
			return true
		}
	}
	return false
}

// hostAt is where the host stands in the file.
func (k *checker) hostAt(o owner) *cursor {
	return k.siteAt[o.site].key("hosts").item(o.site.hostItems[o.host])
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
