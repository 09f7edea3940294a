package plan

import (
	"slices"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A Told is what an HTTP/2 connection is told in its ORIGIN frame (RFC 8336).
type Told struct {
	// Alert is set where no connection comes about; then nothing else is.
	Alert   *Alert
	Conn    *authority.Conn
	Origins []authority.Origin
	Silence authority.Silence // why there is no frame
	Capped  bool              // the frame lists as many origins as the cap allows
	Absent  []Absent          // a site each that is not in the frame, in the order of the file
}

// An Absent is a site that a frame does not list.
type Absent struct {
	Site      string
	Authority string // an example of what it would be asked for
	// Verdict is the answer to that on the connection. A site that is served and not listed cannot be listed: the certificate
	// does not name it literally, the frame is full, or there is none.
	Verdict authority.Verdict
}

// Origins returns what the connection of a client is told, and what it is not told.
func (p *Plan) Origins(c Client) Told {
	conn, alert := p.Connect(c)
	if alert != nil {
		return Told{Alert: alert}
	}
	t := Told{Conn: conn}
	t.Origins, t.Silence = p.table.Advertise(conn)
	t.Capped = len(t.Origins) == authority.DefaultMaxOrigins
	listed := map[string]bool{}
	for _, o := range t.Origins {
		if v := p.ask(conn, o.Authority()); v.Site != nil {
			listed[v.Site.Name] = true
		}
	}
	for _, s := range p.Loaded.Sites {
		if listed[s.Name] {
			continue
		}
		if a, ok := p.exampleOf(s, c.Listener); ok {
			t.Absent = append(t.Absent, Absent{s.Name, a.String(), p.ask(conn, a)})
		}
	}
	return t
}

func (p *Plan) ask(conn *authority.Conn, a authority.Authority) authority.Verdict {
	return p.table.Decide(conn, authority.Request{Scheme: authority.HTTPS, Authority: a.String()})
}

// exampleOf returns what a site would be asked for on the listener.
func (p *Plan) exampleOf(s *config.Site, l *config.Listener) (a authority.Authority, ok bool) {
	if name := p.exampleSNI(s); name != "" {
		a, ok = authority.MustParse(name), true
	} else if len(s.Patterns) > 0 && !s.Patterns[0].IsCatchAll() {
		a, ok = s.Patterns[0].Authority(), true
	}
	if ports := l.Ports(l.Port); ok && a.Port() == 0 && len(ports) > 0 && ports[0] != authority.HTTPS.DefaultPort() {
		a = a.WithPort(ports[0])
	}
	return a, ok
}

// A Frame is what the HTTP/2 connections of some sites are told, on one listener.
type Frame struct {
	Listener string
	Sites    []string // chosen at the handshake
	Origins  int
	Silence  authority.Silence
	Capped   bool
}

// Frames returns what connections are told, for each listener that sends frames and each site, those that are told the same
// together.
func (p *Plan) Frames() (list []Frame) {
	for _, l := range p.Loaded.Listeners {
		if l.Scheme != authority.HTTPS || !l.H2 || l.OriginFrame == authority.NeverFrames {
			continue
		}
		first := len(list)
		for _, s := range p.Loaded.Sites {
			if !s.On(l.Name) {
				continue
			}
			conn, alert := p.Connect(Client{Listener: l, SNI: p.exampleSNI(s), Protocol: "h2", Certificate: true})
			if alert != nil {
				continue
			}
			origins, silence := p.table.Advertise(conn)
			f := Frame{l.Name, []string{s.Name}, len(origins), silence, len(origins) == authority.DefaultMaxOrigins}
			i := slices.IndexFunc(list[first:], func(x Frame) bool {
				return x.Origins == f.Origins && x.Silence == f.Silence
			})
			if i < 0 {
				list = append(list, f)
			} else {
				list[first+i].Sites = append(list[first+i].Sites, s.Name)
			}
		}
	}
	return list
}
