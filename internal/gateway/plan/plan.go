// Package plan tells what a configuration means without running it: which connection a handshake makes, what is answered on
// it, and which sites share connections. It asks the table that the gateway decides with, so it cannot be of another
// opinion.
package plan

import (
	"crypto/tls"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/localca"
)

// A Plan is what a configuration means. Make one with [New]. It is immutable and safe for concurrent use.
type Plan struct {
	Loaded *config.Loaded
	table  *authority.Table
	hosts  hosts
	place  map[string]int // of each site in the file
}

// New compiles a configuration as the gateway does. Sites with `issuer: local` get certificates from an authority that
// lives in memory and is thrown away: nothing is read from the state folder and nothing is written.
func New(l *config.Loaded) (*Plan, error) {
	var ca *localca.CA
	issue := func(hosts []string) (tls.Certificate, error) {
		if ca == nil {
			var err error
			if ca, err = localca.New("usher plan", time.Now()); err != nil {
				return tls.Certificate{}, err
			}
		}
		return ca.Issue(localca.Leaf{Hosts: hosts})
	}
	c, err := gateway.Compile(l, issue)
	if err != nil {
		return nil, err
	}
	guard, err := usher.New(c)
	if err != nil {
		return nil, err
	}
	p := &Plan{Loaded: l, table: guard.Table(), hosts: hostsOf(l.Sites), place: make(map[string]int, len(l.Sites))}
	for i, s := range l.Sites {
		p.place[s.Name] = i
	}
	return p, nil
}

// Listener returns the listener of that name, nil if there is none.
func (p *Plan) Listener(name string) *config.Listener {
	for _, l := range p.Loaded.Listeners {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Serves reports whether the site of that name is served on the listener.
func (p *Plan) Serves(l *config.Listener, site string) bool {
	i, ok := p.place[site]
	return ok && p.Loaded.Sites[i].On(l.Name)
}
