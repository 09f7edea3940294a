package config

import (
	"net/netip"
	"slices"

	"github.com/usher-http/usher/authority"
)

func (k *checker) checkListeners() []*Listener {
	k.listeners = map[string]*Listener{}
	at := k.root.key("listeners")
	if at.present() && len(k.file.Listeners) == 0 {
		k.fail(at, "leave the key out for :443 and :80", "listeners is empty")
		return nil
	}
	list := make([]*Listener, len(k.file.Listeners))
	bound := map[address]int{}
	for i := range k.file.Listeners {
		list[i] = k.checkListener(at.item(i), &k.file.Listeners[i])
		k.checkUnique(at, i, list[i], bound)
	}
	return list
}

func (k *checker) checkListener(c *cursor, spec *ListenerSpec) *Listener {
	at := c.key("address").place()
	l := &Listener{Name: spec.Name, Address: spec.Address, Scheme: authority.HTTPS, Line: at.Line, Column: at.Column}
	a, hint, err := parseAddress(spec.Address)
	if err != nil {
		k.fail(c.key("address"), hint, "%s", err)
	}
	l.Port = a.port
	k.oneOf(c.key("scheme"), spec.Scheme, "https", "http")
	if spec.Scheme == "http" {
		l.Scheme = authority.HTTP
	}
	k.publicPorts(c.key("public_ports"), spec.PublicPorts, l)
	k.protocols(c.key("protocols"), spec, l)
	k.trusted(c.key("trusted_gateways"), spec.TrustedGateways, l)
	k.oneOf(c.key("origin_frame"), spec.OriginFrame, "auto", "always", "never")
	switch spec.OriginFrame {
	case "always":
		l.OriginFrame = authority.AlwaysFrames
	case "never":
		l.OriginFrame = authority.NeverFrames
	}
	if spec.ProxyProtocol {
		k.fail(c.key("proxy_protocol"), "remove the key; without it the peer's own address counts", "proxy_protocol: true is not available in this version")
	}
	return l
}

// checkUnique refuses a name or an address that an earlier listener has.
func (k *checker) checkUnique(at *cursor, i int, l *Listener, bound map[address]int) {
	if l.Name == "" {
		return // the address is missing, which is reported
	}
	name := at.item(i).key("name")
	if k.listeners[l.Name] == nil {
		k.listeners[l.Name] = l
	} else if name.present() {
		k.fail(name, "", "two listeners have the name %q", l.Name)
	}
	a, _, err := parseAddress(l.Address)
	if err != nil || a.port == 0 {
		if err == nil && !name.present() && k.listeners[l.Name] != l {
			k.fail(at.item(i).key("address"), "give each a name", "two listeners have the name %q, which is their address", l.Name)
		}
		return
	}
	if first, taken := bound[a]; taken {
		k.fail(at.item(i).key("address"), "", "two listeners have the address %q, the first in line %d", l.Address, at.item(first).place().Line)
		return
	}
	bound[a] = i
}

func (k *checker) publicPorts(c *cursor, ports []int, l *Listener) {
	for i, port := range ports {
		switch {
		case port < 1 || port > 65535:
			k.fail(c.item(i), "", "a port is a number from 1 to 65535, not %d", port)
		case slices.Contains(l.PublicPorts, uint16(port)):
			k.fail(c.item(i), "", "port %d is given twice", port)
		default:
			l.PublicPorts = append(l.PublicPorts, uint16(port))
		}
	}
}

func (k *checker) protocols(c *cursor, spec *ListenerSpec, l *Listener) {
	if len(spec.Protocols) == 0 {
		k.fail(c, "leave the key out for all", "protocols is empty")
	}
	seen := map[string]bool{}
	for i, p := range spec.Protocols {
		at := c.item(i)
		switch {
		case !k.oneOf(at, p, "h1", "h2", "h3"):
			continue
		case seen[p]:
			k.fail(at, "", "protocol %q is given twice", p)
		case spec.Scheme == "http" && p == "h3":
			k.fail(at, "use h1 or h2, or scheme: https", "h3 needs TLS, and this listener is plaintext")
		}
		seen[p] = true
	}
	l.H1, l.H2, l.H3 = seen["h1"], seen["h2"], seen["h3"]
}

func (k *checker) trusted(c *cursor, ranges []string, l *Listener) {
	for i, s := range ranges {
		at := c.item(i)
		p, hint := parseRange(s)
		if !p.IsValid() {
			k.fail(at, hint, "%q is no address range", s)
			continue
		}
		if p.Bits() == 0 {
			k.warn(at, TrustsEveryone, "name the gateways alone", "%s holds every address: nobody's connection is checked on listener %q", s, l.Name)
		}
		l.TrustedGateways = append(l.TrustedGateways, p)
	}
}

// parseRange reads a CIDR or a single address. A range whose address has bits behind its length is refused: it may be
// meant narrower or wider than it is.
func parseRange(s string) (p netip.Prefix, hint string) {
	const form = "a range is written as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return netip.Prefix{}, "leave the zone out"
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, form
	case p.Addr().Is4In6():
		return netip.Prefix{}, "write it as an IPv4 range"
	case p.Masked() != p:
		return netip.Prefix{}, "did you mean " + p.Masked().String() + " or " + p.Addr().String() + "?"
	}
	return p, ""
}
