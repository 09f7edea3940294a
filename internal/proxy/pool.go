package proxy

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A pool has the connections to one server that were made with one SNI, or those that speak HTTP/1.1 alone. The one that was used
// last is used next: the others then grow old and are closed.
type pool struct {
	server *Server
	sni    string      // of the handshake, and what the certificate has to be valid for; empty: plaintext
	tls    *tls.Config // nil: plaintext
	one    *pool       // the same SNI, but HTTP/2 is not offered; nil: this is it

	mu       sync.Mutex
	idle     []*conn // the oldest first
	standing []*conn // that are idle, too, and have a goroutine; the oldest first
	wanted   bool    // somebody looked for one of those in vain
	timer    *time.Timer
	sweep    bool // the timer is set
	retired  bool // nobody will ask for its connections any more

	two two // connections that speak HTTP/2
}

func newPool(s *Server, sni string) *pool {
	p := &pool{server: s, sni: sni}
	if s.config.TLS == nil {
		return p
	}
	one := &pool{server: s, sni: sni}
	one.tls = s.config.TLS.Clone()
	one.tls.ServerName = sni
	one.tls.NextProtos = []string{"http/1.1"}
	p.tls = one.tls.Clone()
	p.tls.NextProtos = []string{"h2", "http/1.1"}
	p.one = one
	return p
}

// forRequest is p, or what a request takes that wants to switch protocols, which is a thing of HTTP/1.1.
func (p *pool) forRequest(r *message.Request) *pool {
	if r.Protocol != "" && p.one != nil {
		return p.one
	}
	return p
}

// retire says whether connections are to be kept.
func (p *pool) retire(retired bool) {
	p.mu.Lock()
	p.retired = retired
	p.mu.Unlock()
	p.two.retire(retired)
	if p.one != nil {
		p.one.retire(retired)
	}
	if retired {
		p.closeIdle()
	}
}

// take returns an idle connection on which nothing has come since; nil: there is none. Where asking looks for that too, it is left to
// it, if later will do.
func (p *pool) take(later bool) *conn {
	for {
		p.mu.Lock()
		c := last(&p.idle)
		if c == nil {
			c = last(&p.standing)
		}
		p.mu.Unlock()
		if c == nil {
			return nil
		}
		if !c.sit() {
			c.close()
			continue
		}
		if (later && c.plain != nil || c.quiet()) && now()-c.rested < p.server.config.KeepIdle {
			return c
		}
		c.close()
	}
}

// last takes the last connection from a list; nil: there is none.
func last(list *[]*conn) *conn {
	n := len(*list) - 1
	if n < 0 {
		return nil
	}
	c := (*list)[n]
	(*list)[n] = nil
	*list = (*list)[:n]
	return c
}

// put gives a connection back that has come to rest.
func (p *pool) put(c *conn) {
	if !p.keep(c) {
		c.close()
	}
}

// keep reports whether it is kept.
func (p *pool) keep(c *conn) bool {
	c.rested = now()
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := len(p.idle)+len(p.standing) < p.server.config.MaxIdle && !p.retired
	if keep {
		if p.wanted && c.plain != nil && c.stander == nil {
			p.wanted = false
			c.standUp()
		}
		if c.stander != nil {
			p.standing = append(p.standing, c)
		} else {
			p.idle = append(p.idle, c)
		}
		p.schedule(p.server.config.KeepIdle)
	}
	return keep
}

// schedule sees to it that those that rest for too long are closed. One timer does for all, with mu held.
func (p *pool) schedule(d time.Duration) {
	if p.sweep {
		return
	}
	p.sweep = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.closeOld)
	} else {
		p.timer.Reset(d)
	}
}

func (p *pool) closeOld() {
	keep := p.server.config.KeepIdle
	n := now()
	p.mu.Lock()
	p.sweep = false
	var gone []*conn
	for _, list := range []*[]*conn{&p.idle, &p.standing} {
		old := 0
		for old < len(*list) && n-(*list)[old].rested >= keep {
			old++
		}
		gone = append(gone, (*list)[:old]...)
		*list = slices.Delete(*list, 0, old)
		if len(*list) > 0 {
			p.schedule(keep - (n - (*list)[0].rested))
		}
	}
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// closeIdle closes all that rest.
func (p *pool) closeIdle() {
	p.mu.Lock()
	gone := append(p.idle, p.standing...)
	p.idle, p.standing = nil, nil
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
	if p.one != nil {
		p.one.closeIdle()
	}
	p.two.closeIdle()
}
