package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/message"
)

const (
	// maxHealed is how many hosts are remembered to need connections of their own, with their pools; the one that was not asked for
	// longest is forgotten.
	maxHealed = 256
	// keepHealed is for how long. After that the connection that the configuration names is tried again.
	keepHealed = 10 * time.Minute
)

// heals remembers the hosts for which a server wants connections with their own SNI.
type heals struct {
	server *Server
	n      atomic.Int32 // of hosts: most servers have none, and no request of theirs waits for a lock

	mu    sync.Mutex
	hosts map[string]*healed
}

type healed struct {
	pool  *pool
	until time.Duration
	asked time.Duration // last
}

func newHeals(s *Server) *heals { return &heals{server: s, hosts: make(map[string]*healed)} }

// poolFor returns the pool that a request for this authority goes to first.
func (h *heals) poolFor(authority string) *pool {
	if h.n.Load() == 0 {
		return h.server.home
	}
	host, ok := nameOf(authority)
	if !ok {
		return h.server.home
	}
	n := now()
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.hosts[host]
	switch {
	case e == nil:
		return h.server.home
	case n >= e.until:
		h.drop(host)
		return h.server.home
	}
	e.asked = n
	return e.pool
}

// pool returns the pool of a host. One that is not remembered keeps no connection until it is.
func (h *heals) pool(host string) *pool {
	h.mu.Lock()
	e := h.hosts[host]
	h.mu.Unlock()
	switch {
	case e != nil:
		return e.pool
	case host == h.server.home.sni:
		return h.server.home
	}
	p := newPool(h.server, host)
	p.retire(true)
	return p
}

// remember says that p is what requests for the host need.
func (h *heals) remember(host string, p *pool) {
	if p == h.server.home {
		return
	}
	n := now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.hosts[host]; e != nil {
		e.until = n + keepHealed
		return // another request was faster: p stays as it is
	}
	if len(h.hosts) >= maxHealed {
		h.drop(h.eldest())
	}
	p.retire(false)
	h.hosts[host] = &healed{pool: p, until: n + keepHealed, asked: n}
	h.n.Store(int32(len(h.hosts)))
}

func (h *heals) forget(host string) {
	h.mu.Lock()
	h.drop(host)
	h.mu.Unlock()
}

func (h *heals) drop(host string) {
	if e := h.hosts[host]; e != nil {
		delete(h.hosts, host)
		h.n.Store(int32(len(h.hosts)))
		e.pool.retire(true)
	}
}

func (h *heals) eldest() (host string) {
	var asked time.Duration
	for name, e := range h.hosts {
		if host == "" || e.asked < asked {
			host, asked = name, e.asked
		}
	}
	return host
}

func (h *heals) closeIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.hosts {
		e.pool.closeIdle()
	}
}

func (h *heals) retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for host := range h.hosts {
		h.drop(host)
	}
}

// heal answers a server's 421, which came by a connection of p: once more on a fresh connection that is made for the request's host,
// if the first was not (or was used before), and if all of the request can be sent again. The certificate has to be valid for that
// host, as for any other connection.
func (s *Server) heal(call *Call, r *message.Request, p *pool, reused bool) (*Response, error) {
	fault := &MisdirectedError{Server: s.config.Address, SNI: p.sni, Host: r.Authority, secured: s.config.TLS != nil}
	host, ok := nameOf(r.Authority)
	if s.heals == nil || !ok || !reused && p.sni == host || !call.content.small(r) {
		return nil, fault
	}
	own := s.heals.pool(host)
	res, _, err := s.ask(call, r, own.forRequest(r), fresh, false)
	fault.Retried, fault.SNI = true, host
	var connect *ConnectError
	switch {
	case errors.As(err, &connect):
		fault.Err = connect.Err
	case err != nil:
		return nil, err
	case res.Status != 421:
		s.heals.remember(host, own)
		return res, nil
	default:
		res.Close()
	}
	s.heals.forget(host)
	return nil, fault
}
