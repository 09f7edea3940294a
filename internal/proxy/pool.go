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

	mu      sync.Mutex
	idle    []*conn // the oldest first
	timer   *time.Timer
	sweep   bool // the timer is set
	retired bool // nobody will ask for its connections any more

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
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if (later && c.plain != nil || c.quiet()) && now()-c.rested < p.server.config.KeepIdle {
			return c
		}
		c.close()
	}
}

func (p *pool) put(c *conn) {
	c.rested = now()
	p.mu.Lock()
	keep := len(p.idle) < p.server.config.MaxIdle && !p.retired
	if keep {
		p.idle = append(p.idle, c)
		p.schedule(p.server.config.KeepIdle)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
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
	old := 0
	for old < len(p.idle) && n-p.idle[old].rested >= keep {
		old++
	}
	gone := slices.Clone(p.idle[:old])
	rest := copy(p.idle, p.idle[old:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	if rest > 0 {
		p.schedule(keep - (n - p.idle[0].rested))
	}
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// closeIdle closes all that rest.
func (p *pool) closeIdle() {
	p.mu.Lock()
	gone := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
	if p.one != nil {
		p.one.closeIdle()
	}
	p.two.closeIdle()
}
