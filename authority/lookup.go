package authority

// Lookup returns the site that owns the host of a, whatever its port and listener: an exact host before a wildcard,
// a wildcard before the catch-all. nil: none. It does not allocate.
func (t *Table) Lookup(a Authority) *Site {
	if !a.IsValid() || !t.withSites {
		return nil
	}
	w := t.index.walk(a.host)
	if e, ok := w.step(); ok {
		return t.site(e.site)
	}
	if parent, ok := parentOf(a); ok {
		w = t.index.walk(parent)
		if e, ok := w.step(); ok {
			return t.site(e.site)
		}
	}
	return t.catchAll
}

// A hit is what a lookup found.
type hit struct {
	site *Site
	port uint16 // the port that the pattern is narrowed to, 0 for none
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
		best.site = t.catchAll
	}
	return best
}

func (t *Table) bestOf(text string, o Origin, c *Conn) (best hit) {
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
		if r > rank {
			rank, best = r, hit{s, e.port}
		}
	}
}

// fits reports whether a host of the site, narrowed to port where that is not 0, stands for the origin.
func (t *Table) fits(s *Site, port uint16, o Origin, c *Conn) bool {
	if port != 0 {
		return port == o.host.port
	}
	for _, l := range s.listeners {
		// A gateway in front may receive https and forward in plaintext: then the listener's scheme says nothing.
		if (l.carries(o.scheme) || c.Trusted && l.Name == c.Listener) && l.hasPort(o.host.port, c) {
			return true
		}
	}
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

// here reports whether the site is served on the connection's listener under the origin's port: the port is the
// listener's own, or no other listener's. A trusted gateway maps ports as it likes.
func (t *Table) here(s *Site, o Origin, c *Conn) bool {
	l := s.on(c.Listener)
	return l != nil && (l.any || c.Trusted || l.hasPort(o.host.port, c) || !t.serves(o, c))
}

// anywhere returns the site that has the host for https, whatever the port.
func (t *Table) anywhere(a Authority) hit {
	for w := t.index.walk(a.host); ; {
		e, ok := w.step()
		if !ok {
			break
		}
		return hit{t.site(e.site), e.port}
	}
	if parent, ok := parentOf(a); ok {
		w := t.index.walk(parent)
		if e, ok := w.step(); ok {
			return hit{t.site(e.site), e.port}
		}
	}
	if t.catchAll != nil && t.catchAll.covers(a) {
		return hit{t.catchAll, 0}
	}
	return hit{}
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
		if h := t.find(NewOrigin(HTTPS, a.WithPort(port)), c); h.site != nil && h.site != t.catchAll {
			return h.site
		}
	}
	if h := t.anywhere(a); h.site != t.catchAll {
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

func (s *Site) hasTLS() bool {
	for _, l := range s.listeners {
		if l.carries(HTTPS) {
			return true
		}
	}
	return false
}
