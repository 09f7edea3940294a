package plan

import (
	"slices"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A reach is what one site gets on the connections of a class.
type reach struct {
	verdict authority.Verdict
	retry   *Retry
}

// An outcome is what reaches are grouped by.
type outcome struct {
	certificate    Certificate
	reason, waived authority.Reason
	retry          string
}

// sharesOf returns what is answered on the connections of one class, grouped by outcome.
func (p *Plan) sharesOf(l *config.Listener, g *class) []Share {
	byOutcome := map[outcome]int{}
	seen := map[string]bool{}
	var list []Share
	for _, a := range p.hosts.covered(g.kinds[0].conns[0].Names[0]) {
		host := here(l, a)
		reaches := p.reaches(l, g, host)
		if len(reaches) == 0 || seen[reaches[0].verdict.Site.Name] {
			continue
		}
		seen[reaches[0].verdict.Site.Name] = true
		for i, r := range reaches {
			key := outcome{r.certificate(g, i, reaches), r.verdict.Reason, r.verdict.Waived, r.retry.word()}
			at, known := byOutcome[key]
			if !known {
				at = len(list)
				byOutcome[key] = at
				list = append(list, Share{
					Listener: l.Name, From: g.names(), Certificate: key.certificate, Verdict: r.verdict, Retry: r.retry, Example: host,
				})
			}
			list[at].To = append(list[at].To, r.verdict.Site.Name)
			if key.certificate == AnyCertificate {
				break
			}
		}
	}
	for i := range list {
		p.inOrder(list[i].To)
		list[i].From = withPartner(list[i].From, list[i].To)
	}
	return list
}

// reaches asks for a host on each kind of connection of the class. There is none where the host, with its port, is not served
// on the listener, or belongs to the only site of the class.
func (p *Plan) reaches(l *config.Listener, g *class, host string) (list []reach) {
	for _, k := range g.kinds {
		var r reach
		conn := p.other(g, k, host)
		if conn == nil {
			return nil
		}
		r.verdict = p.table.Decide(conn, authority.Request{Scheme: authority.HTTPS, Authority: host})
		if r.verdict.Site == nil || r.verdict.Reason == authority.WrongListener {
			return nil
		}
		if !r.verdict.Served() {
			certificate := conn.Verified || r.verdict.Site.ClientAuth == authority.Require
			r.retry = p.retry(Question{
				Client: Client{Listener: l, Protocol: "h2", Certificate: certificate}, Scheme: authority.HTTPS, Host: host,
			})
		}
		list = append(list, r)
	}
	return list
}

// other returns a connection of the class that was made for another site than the host's.
func (p *Plan) other(g *class, k kind, host string) *authority.Conn {
	for i, conn := range k.conns {
		v := p.table.Decide(conn, authority.Request{Scheme: authority.HTTPS, Authority: host})
		if v.Site == nil || v.Site.Name != g.sites[i].Name {
			return conn
		}
	}
	return nil
}

// certificate is the kind of connection that a reach is about: any, if it is the same on all.
func (r reach) certificate(g *class, i int, all []reach) Certificate {
	differs := func(o reach) bool {
		return o.verdict.Reason != r.verdict.Reason || o.verdict.Waived != r.verdict.Waived || o.retry.word() != r.retry.word()
	}
	if !slices.ContainsFunc(all, differs) {
		return AnyCertificate
	}
	return g.kinds[i].certificate
}

// here writes an authority as clients of the listener do.
func here(l *config.Listener, a authority.Authority) string {
	ports := l.Ports(l.Port)
	if a.Port() == 0 && len(ports) > 0 && ports[0] != authority.HTTPS.DefaultPort() {
		a = a.WithPort(ports[0])
	}
	return a.String()
}

// withPartner leaves out the site that is asked for alone, by itself: it has no other to share with.
func withPartner(from, to []string) []string {
	return slices.DeleteFunc(from, func(name string) bool { return len(to) == 1 && to[0] == name })
}

// word tells outcomes of a retry apart.
func (r *Retry) word() string {
	switch {
	case r == nil:
		return ""
	case r.Alert != nil:
		return r.Alert.Name
	}
	return r.Verdict.Reason.String()
}

// inOrder sorts names of sites in the order of the file.
func (p *Plan) inOrder(names []string) {
	slices.SortFunc(names, func(a, b string) int { return p.place[a] - p.place[b] })
}
