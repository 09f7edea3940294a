package authority

import (
	"fmt"
	"slices"
	"strings"
)

// A model is a table as the decision table of the design reads: lists that are scanned, no index, no memo. It shares
// no code with Table but the parser and the names of a certificate.
type model struct {
	options Options
	sites   []Site
}

type answer struct {
	status int
	reason Reason
	site   string
	close  bool
	waived Reason
	port   uint16
}

func (a answer) String() string {
	return fmt.Sprintf("%d %v site=%q close=%v waived=%v port=%d", a.status, a.reason, a.site, a.close, a.waived, a.port)
}

func answerOf(v Verdict) answer {
	w := gotOf(v)
	return answer{w.Status, v.Reason, w.Site, w.Close, v.Waived, w.Port}
}

// listenersOf returns the numbers of the listeners that serve a site; -1 stands for the implicit one.
func (m *model) listenersOf(s *Site) (list []int) {
	if len(m.options.Listeners) == 0 {
		return []int{-1}
	}
	for i, l := range m.options.Listeners {
		if len(s.Listeners) == 0 || slices.Contains(s.Listeners, l.Name) {
			list = append(list, i)
		}
	}
	return list
}

func (m *model) hasPort(l int, port uint16, c *Conn) bool {
	if l < 0 || len(m.options.Listeners[l].Ports) == 0 {
		return c.Port == 0 || c.Port == port
	}
	return slices.Contains(m.options.Listeners[l].Ports, port)
}

func defaultPort(s Scheme) uint16 { return map[Scheme]uint16{HTTP: 80, HTTPS: 443}[s] }

// standsIn: "a scheme's default port also fits when no other listener serves it".
func (m *model) standsIn(s Scheme, port uint16, c *Conn) bool {
	for i, l := range m.options.Listeners {
		if l.Scheme == s && m.hasPort(i, port, c) {
			return false
		}
	}
	return port == defaultPort(s)
}

func (m *model) fits(s *Site, narrowed uint16, scheme Scheme, port uint16, c *Conn) bool {
	var takes []int
	for _, l := range m.listenersOf(s) {
		mine := l < 0 || m.options.Listeners[l].Name == c.Listener
		if l < 0 || m.options.Listeners[l].Scheme == scheme || mine && (c.Trusted || c.Terminated) {
			takes = append(takes, l)
		}
	}
	switch {
	case len(takes) == 0:
		return false
	case narrowed != 0:
		return narrowed == port
	}
	return m.standsIn(scheme, port, c) || slices.ContainsFunc(takes, func(l int) bool { return m.hasPort(l, port, c) })
}

// rank tells how exactly a pattern names a host: 3 exact, 2 wildcard, 1 catch-all, 0 not at all.
func rank(pattern, host string) int {
	_, parent, found := strings.Cut(host, ".")
	switch {
	case pattern == host:
		return 3
	case found && pattern == "*."+parent:
		return 2
	case pattern == "*":
		return 1
	}
	return 0
}

// found is a pattern of a site that stands for an origin.
type found struct {
	site     *Site
	narrowed uint16
	rank     int
	onThis   bool // served on the connection's listener
	origin   bool // sought for an origin, whose port is known: host:port goes before host
	first    int
}

func (f found) better(g found) bool {
	switch {
	case f.rank != g.rank:
		return f.rank > g.rank
	case f.onThis != g.onThis:
		return f.onThis
	case (f.narrowed != 0) != (g.narrowed != 0) && f.origin:
		return f.narrowed != 0
	}
	return f.narrowed < g.narrowed || f.narrowed == g.narrowed && f.first < g.first
}

func (m *model) scan(host string, accept func(*Site, uint16, int) bool, c *Conn) (best found) {
	for i := range m.sites {
		s := &m.sites[i]
		for _, p := range s.Patterns {
			text := strings.TrimSuffix(p.String(), fmt.Sprintf(":%d", p.Port()))
			f := found{site: s, narrowed: p.Port(), rank: rank(text, host), onThis: m.on(s, c), origin: c != nil, first: slices.Min(m.listenersOf(s))}
			if f.rank > 0 && accept(s, f.narrowed, f.rank) && (best.site == nil || f.better(best)) {
				best = f
			}
		}
	}
	return best
}

func (m *model) on(s *Site, c *Conn) bool {
	return c != nil && slices.ContainsFunc(m.listenersOf(s), func(l int) bool { return l < 0 || m.options.Listeners[l].Name == c.Listener })
}

func covered(list []*Names, a Authority) bool {
	return slices.ContainsFunc(list, func(n *Names) bool { return n.Covers(a) })
}

// decide asks the questions of the design, in order.
func (m *model) decide(c *Conn, r Request) answer {
	if c == nil {
		return answer{status: 500, reason: NoFacts}
	}
	a, err := Parse(r.Authority)
	if err != nil || len(r.Hosts) > 1 {
		return answer{status: 400, reason: MalformedAuthority}
	}
	if len(r.Hosts) == 1 {
		b, err := Parse(r.Hosts[0])
		if err != nil {
			return answer{status: 400, reason: MalformedAuthority}
		}
		if NewOrigin(r.Scheme, a) != NewOrigin(r.Scheme, b) {
			return answer{status: 400, reason: HostConflict}
		}
	}
	excused := c.Trusted || c.Terminated || m.options.Mode == Observe
	ans, own := answer{status: 200}, HTTP
	if c.Secure {
		own = HTTPS
	}
	scheme := own
	if r.Scheme != own {
		if !excused {
			return answer{status: 421, reason: SchemeMismatch}
		}
		ans.waived = SchemeMismatch
		if (c.Trusted || c.Terminated) && r.Scheme != NoScheme {
			scheme = r.Scheme
		}
	}
	port := a.Port()
	if port == 0 {
		port = defaultPort(scheme)
	}
	if scheme == HTTP {
		return m.plain(ans, c, r, a, port)
	}
	f := m.scan(a.WithPort(0).String(), func(s *Site, n uint16, _ int) bool { return m.fits(s, n, HTTPS, port, c) }, c)
	return m.questions(ans, f, c, r, a, HTTPS, port)
}

func (m *model) plain(ans answer, c *Conn, r Request, a Authority, port uint16) answer {
	f := m.scan(a.WithPort(0).String(), func(s *Site, n uint16, _ int) bool { return m.fits(s, n, HTTP, port, c) }, c)
	serves := f.site != nil && f.site.PlainHTTP && (f.rank > 1 || covered(f.site.Certificates, a))
	if serves && m.here(f.site, HTTP, port, c) {
		return m.questions(ans, f, c, r, a, HTTP, port)
	}
	if g := m.secure(a); g.site != nil {
		ans.status, ans.reason, ans.site, ans.port = 308, Redirect, g.site.Name, m.advertised(g)
		return ans
	}
	if !serves {
		f.site = nil
	}
	return m.questions(ans, f, c, r, a, HTTP, port)
}

// secure finds the https site of a host, whatever port and listener.
func (m *model) secure(a Authority) found {
	return m.scan(a.WithPort(0).String(), func(s *Site, narrowed uint16, rank int) bool {
		if rank == 1 && !covered(s.Certificates, a) {
			return false
		}
		return slices.ContainsFunc(m.listenersOf(s), func(l int) bool {
			if l < 0 {
				return true
			}
			in := m.options.Listeners[l]
			return in.Scheme == HTTPS && (narrowed == 0 || narrowed == 443 || len(in.Ports) == 0 || slices.Contains(in.Ports, narrowed))
		})
	}, nil)
}

func (m *model) advertised(f found) uint16 {
	if f.narrowed != 0 {
		return f.narrowed
	}
	for _, name := range f.site.Listeners {
		for _, l := range m.options.Listeners {
			if l.Name == name && l.Scheme == HTTPS && len(l.Ports) > 0 {
				return l.Ports[0]
			}
		}
	}
	for _, l := range m.options.Listeners {
		if len(f.site.Listeners) == 0 && l.Scheme == HTTPS && len(l.Ports) > 0 {
			return l.Ports[0]
		}
	}
	return 443
}

func (m *model) here(s *Site, scheme Scheme, port uint16, c *Conn) bool {
	return slices.ContainsFunc(m.listenersOf(s), func(l int) bool {
		if l < 0 {
			return true
		}
		return m.options.Listeners[l].Name == c.Listener && (c.Trusted || m.hasPort(l, port, c) || m.standsIn(scheme, port, c))
	})
}

// questions asks 3 to 8.
func (m *model) questions(ans answer, f found, c *Conn, r Request, a Authority, scheme Scheme, port uint16) answer {
	excused := c.Trusted || c.Terminated || m.options.Mode == Observe
	if f.site == nil {
		ans.status, ans.reason = 421, UnknownOrigin
		if m.options.UnknownNotFound && scheme == HTTPS && covered(c.Names, a) && a.Host() == c.SNI {
			ans.status = 404
		}
		return ans
	}
	s := f.site
	ans.site = s.Name
	for _, q := range []struct {
		reason   Reason
		holds    bool
		waivable bool
	}{
		{WrongListener, m.here(s, scheme, port, c), false},
		{CertificateMismatch, scheme == HTTP || covered(c.Names, a) && (f.rank > 1 || covered(s.Certificates, a)), true},
		{ClientAuthMismatch, proved(s, c, r), false},
		{TLSVersionMismatch, scheme == HTTP || c.Version >= s.MinVersion, true},
		{CoalescingRefused, scheme == HTTP || !s.OwnConnections || c.Site == s.Name, true},
	} {
		if q.holds {
			continue
		}
		if q.waivable && excused {
			if ans.waived == OK {
				ans.waived = q.reason
			}
			continue
		}
		ans.status, ans.reason = 421, q.reason
		ans.close = q.reason != WrongListener && a.Host() == c.SNI
		return ans
	}
	return ans
}

// proved is the matrix of client authentication.
func proved(s *Site, c *Conn, r Request) bool {
	switch {
	case s.ClientAuth == None:
		return true
	case c.Trusted:
		return r.ClientCert != nil && r.ClientCert(s)
	case !c.Secure || c.ClientAuth == None || c.ClientCAs != s.ClientCAs:
		return false
	}
	return s.ClientAuth == Optional || c.Verified
}

// choose is the handshake: a site that has the name, by the ports of the listener first; the catch-all; the default.
func (m *model) choose(sni string, c *Conn) string {
	a, err := ParseHost(sni)
	if err != nil || a.IsIP() {
		return m.options.DefaultSite
	}
	ports := []uint16{c.Port}
	for _, l := range m.options.Listeners {
		if l.Name == c.Listener && len(l.Ports) > 0 {
			ports = l.Ports
		}
	}
	for _, port := range ports {
		if port == 0 {
			port = 443
		}
		f := m.scan(a.WithPort(0).String(), func(s *Site, n uint16, _ int) bool { return m.fits(s, n, HTTPS, port, c) }, c)
		if f.rank > 1 {
			return f.site.Name
		}
	}
	if f := m.secure(a); f.rank > 1 {
		return f.site.Name
	}
	for i := range m.sites {
		for _, p := range m.sites[i].Patterns {
			if p.IsCatchAll() && covered(m.sites[i].Certificates, a) {
				return m.sites[i].Name
			}
		}
	}
	return m.options.DefaultSite
}

// clash reports whether two sites have the same host on a listener that both share.
func (m *model) clash() bool {
	for i := range m.sites {
		for j := range i {
			a, b := &m.sites[i], &m.sites[j]
			shared := slices.ContainsFunc(m.listenersOf(a), func(l int) bool { return slices.Contains(m.listenersOf(b), l) })
			for _, p := range a.Patterns {
				if slices.Contains(b.Patterns, p) && (shared || p.IsCatchAll()) {
					return true
				}
			}
		}
	}
	return false
}
