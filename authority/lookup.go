package authority

import "slices"

// Lookup returns the site that owns the host of a, whatever its port and listener: an exact host before a wildcard,
// a wildcard before the catch-all. Where several sites have the host, on different ports or listeners, it is the one
// that comes first: without a port before narrowed, then in the order of the listeners. nil: none. It does not
// allocate.
func (t *Table) Lookup(a Authority) *Site {
	if !a.IsValid() || !t.withSites {
		return nil
	}
	if h, ok := t.owner(a.host); ok {
		return h.site
	}
	if parent, ok := parentOf(a); ok {
		if h, ok := t.owner(parent); ok {
			return h.site
		}
	}
	return t.catchAll
}

// owner returns the first of the sites that have a key.
func (t *Table) owner(text string) (hit, bool) {
	e, ok := t.index.first(text)
	if !ok {
		return hit{}, false
	}
	best := hit{site: t.site(e.site), port: e.port}
	if e.more {
		best = t.firstOf(text)
	}
	return best, true
}

func (t *Table) firstOf(text string) (best hit) {
	for w := t.index.walk(text); ; {
		e, ok := w.step()
		if !ok {
			return best
		}
		if h := (hit{site: t.site(e.site), port: e.port}); best.site == nil || h.before(best) {
			best = h
		}
	}
}

// A hit is what a lookup found.
type hit struct {
	site *Site
	port uint16 // the port that the pattern is narrowed to, 0 for none
	any  bool   // by the catch-all: the site has no other host that fits
}

// before orders sites that have the same host, so that a table gives the same answers in whatever order it was built.
// Such sites differ in port, or share no listener.
func (h hit) before(other hit) bool {
	if h.port != other.port {
		return h.port < other.port
	}
	return h.site.first < other.site.first
}

// find returns the site of an origin as seen from a connection. Among equally exact hosts, one that is served on
// the connection's listener goes before others, then one that names the port.
func (t *Table) find(o Origin, c *Conn) hit {
	best := t.bestOf(o.host.host, o, c)
	if best.site == nil {
		if parent, ok := parentOf(o.host); ok {
			best = t.bestOf(parent, o, c)
		}
	}
	if best.site == nil && t.catchAll != nil && t.fits(t.catchAll, 0, o, c) {
		best = hit{site: t.catchAll, any: true}
	}
	return best
}

func (t *Table) bestOf(text string, o Origin, c *Conn) hit {
	e, ok := t.index.first(text)
	if !ok {
		return hit{}
	}
	if e.more {
		return t.bestOfMany(text, o, c)
	}
	if s := t.site(e.site); t.fits(s, e.port, o, c) {
		return hit{site: s, port: e.port}
	}
	return hit{}
}

func (t *Table) bestOfMany(text string, o Origin, c *Conn) (best hit) {
	rank := -1
	for w := t.index.walk(text); ; {
		e, ok := w.step()
		if !ok {
			return best
		}
		s := t.site(e.site)
		if !t.fits(s, e.port, o, c) {
			continue
		}
		r := 0
		if s.on(c.Listener) != nil {
			r += 2
		}
		if e.port != 0 {
			r++
		}
		if h := (hit{site: s, port: e.port}); r > rank || r == rank && h.before(best) {
			rank, best = r, h
		}
	}
}

// fits reports whether a host of the site, narrowed to port where that is not 0, stands for the origin.
func (t *Table) fits(s *Site, port uint16, o Origin, c *Conn) bool {
	taken := false
	for _, l := range s.listeners {
		if !l.takes(o.scheme, c) {
			continue
		}
		if port != 0 {
			return port == o.host.port
		}
		if l.hasPort(o.host.port, c) {
			return true
		}
		taken = true
	}
	return taken && t.fallsBack(o, c)
}

// fallsBack reports whether the origin's port is its scheme's default and no listener's own. Such an origin comes from
// clients of a mapped port that nobody told us of.
func (t *Table) fallsBack(o Origin, c *Conn) bool {
	return o.host.port == o.scheme.DefaultPort() && !t.serves(o, c)
}

// serves reports whether any listener of the origin's scheme has the origin's port.
func (t *Table) serves(o Origin, c *Conn) bool {
	for _, l := range t.listeners {
		if !l.any && l.Scheme == o.scheme && l.hasPort(o.host.port, c) {
			return true
		}
	}
	return false
}

// here reports whether the site is served on the connection's listener under the origin's port. A trusted gateway maps
// ports as it likes: of it only the listener is asked.
func (t *Table) here(s *Site, o Origin, c *Conn) bool {
	l := s.on(c.Listener)
	return l != nil && (l.any || c.Trusted || l.hasPort(o.host.port, c) || t.fallsBack(o, c))
}

// owns reports whether the site that was found has the host: by the catch-all it has only those that a certificate of
// its own covers.
func (h hit) owns(a Authority) bool { return !h.any || h.site.covers(a) }

// anywhere returns the site that has the host for https, whatever the port and the listener of the request.
func (t *Table) anywhere(a Authority) hit {
	if h := t.secure(a.host); h.site != nil {
		return h
	}
	if parent, ok := parentOf(a); ok {
		if h := t.secure(parent); h.site != nil {
			return h
		}
	}
	if s := t.catchAll; s != nil && s.hasTLS(0) && s.covers(a) {
		return hit{site: s, any: true}
	}
	return hit{}
}

// secure returns the first of the sites that have a key for https.
func (t *Table) secure(text string) (best hit) {
	for w := t.index.walk(text); ; {
		e, ok := w.step()
		if !ok {
			return best
		}
		h := hit{site: t.site(e.site), port: e.port}
		if h.site.hasTLS(h.port) && (best.site == nil || h.before(best)) {
			best = h
		}
	}
}

// Choose returns the site of a TLS handshake that arrives as c (Listener and Port count): the one that has the
// name; else the catch-all, if a certificate of it covers the name; else the default site; else nil, and the handshake
// must end with the alert unrecognized_name (RFC 6066 section 3). The name is folded here. An empty one, one that
// is an IP literal and one that is no host count as absent.
func (t *Table) Choose(sni string, c *Conn) *Site {
	a, err := ParseHost(sni)
	if err != nil || a.IsIP() || !t.withSites {
		return t.defaultTo
	}
	if s := t.named(a, c); s != nil {
		return s
	}
	if t.catchAll != nil && t.catchAll.covers(a) {
		return t.catchAll
	}
	return t.defaultTo
}

// named asks first for the origins that this listener stands for, so that the handshake chooses the site that its
// requests will be judged for.
func (t *Table) named(a Authority, c *Conn) *Site {
	ports := [1]uint16{c.Port}
	list := ports[:]
	for _, l := range t.listeners {
		if l.Name == c.Listener && len(l.Ports) > 0 {
			list = l.Ports
		}
	}
	for _, port := range list {
		if h := t.find(NewOrigin(HTTPS, a.WithPort(port)), c); h.site != nil && !h.any {
			return h.site
		}
	}
	if h := t.anywhere(a); !h.any {
		return h.site
	}
	return nil
}

// CanonicalSNI returns the server name as [Conn] wants it: folded, without a trailing dot; empty for an IP literal
// and for what is no host.
func CanonicalSNI(sni string) string {
	a, err := ParseHost(sni)
	if err != nil || a.IsIP() {
		return ""
	}
	return a.host
}

// AdvertisedPort is the port of the site's https origins that clients are sent to: the port that the pattern is
// narrowed to, else the first port of the site's first TLS listener, else 443.
func (s *Site) AdvertisedPort(narrowed uint16) uint16 {
	if narrowed != 0 {
		return narrowed
	}
	for _, l := range s.listeners {
		if l.Scheme == HTTPS && len(l.Ports) > 0 {
			return l.Ports[0]
		}
	}
	return HTTPS.DefaultPort()
}

// hasTLS reports whether the site is served over TLS, under port where that is not 0.
func (s *Site) hasTLS(port uint16) bool {
	for _, l := range s.listeners {
		if l.carries(HTTPS) && (port == 0 || len(l.Ports) == 0 || port == HTTPS.DefaultPort() || slices.Contains(l.Ports, port)) {
			return true
		}
	}
	return false
}
