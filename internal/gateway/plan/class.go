package plan

import (
	"strconv"
	"strings"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A class is a set of sites whose connections prove the same.
type class struct {
	sites []*config.Site
	// kinds are the connections, by what the client showed: one kind, or two where client authentication is optional.
	kinds []kind
}

type kind struct {
	certificate Certificate
	conns       []*authority.Conn // one for each site
}

// classes groups the sites of a listener by what their connections prove.
func (p *Plan) classes(l *config.Listener) []*class {
	byKey := map[string]*class{}
	var order []*class
	for _, s := range p.Loaded.Sites {
		if !s.On(l.Name) {
			continue
		}
		kinds, ok := p.kindsOf(l, s)
		if !ok {
			continue
		}
		key := keyOf(kinds[0].conns[0])
		g := byKey[key]
		if g == nil {
			g = &class{kinds: make([]kind, len(kinds))}
			byKey[key] = g
			order = append(order, g)
		}
		g.sites = append(g.sites, s)
		for i, k := range kinds {
			g.kinds[i].certificate = k.certificate
			g.kinds[i].conns = append(g.kinds[i].conns, k.conns...)
		}
	}
	return order
}

// kindsOf makes the connections of one site. ok is false where no handshake leads to one.
func (p *Plan) kindsOf(l *config.Listener, s *config.Site) (list []kind, ok bool) {
	certificates := []Certificate{AnyCertificate}
	if s.ClientAuth == authority.Optional {
		certificates = []Certificate{NoCertificate, WithCertificate}
	}
	for _, c := range certificates {
		shown := c == WithCertificate || s.ClientAuth == authority.Require
		conn, alert := p.Connect(Client{Listener: l, SNI: p.exampleSNI(s), Protocol: "h2", Certificate: shown})
		if alert != nil {
			return nil, false
		}
		list = append(list, kind{c, []*authority.Conn{conn}})
	}
	return list, true
}

// keyOf is all that the decision looks at but the site, which question 8 compares with the one that is asked for.
func keyOf(c *authority.Conn) string {
	return strings.Join(c.Names[0].All(), " ") + "\x00" + c.ClientAuth.String() + "\x00" + string(c.ClientCAs[:]) + strconv.FormatBool(c.Verified)
}

func (g *class) names() []string {
	list := make([]string, len(g.sites))
	for i, s := range g.sites {
		list[i] = s.Name
	}
	return list
}

// exampleSNI returns the server name of a handshake for the site; empty where it has IP addresses alone.
func (p *Plan) exampleSNI(s *config.Site) string {
	for _, h := range s.Patterns {
		switch {
		case h.IsCatchAll():
			if a, ok := p.caught(s.Name); ok {
				return a.Host()
			}
		case h.IsWildcard():
			if a, ok := p.hosts.below(h.Authority().Host()); ok {
				return a.Host()
			}
		case !h.Authority().IsIP():
			return h.Authority().Host()
		}
	}
	return ""
}

// caught returns a host that only the catch-all has: one that its certificate covers.
func (p *Plan) caught(site string) (authority.Authority, bool) {
	for _, c := range p.table.Site(site).Certificates {
		for _, n := range c.All() {
			a, ok := p.hosts.example(n)
			if s := p.table.Lookup(a); ok && s != nil && s.Name == site {
				return a, true
			}
		}
	}
	return authority.Authority{}, false
}
