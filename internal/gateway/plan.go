package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A plan is how the listeners that serve become those of the next configuration.
type plan struct {
	gateway *Gateway
	loaded  *config.Loaded
	next    []*listener
	before  []*listener // what each of next takes over from; nil: nothing
}

// place says which listeners are the same. With port 0 every listener is a place of its own.
func place(c *config.Listener) string {
	if c.Port == 0 {
		return c.Address + " " + c.Name
	}
	return c.Address
}

// make binds what is new and makes the servers, without starting any. After an error undo must be called.
func (p *plan) make(ctx context.Context) error {
	for _, spec := range p.loaded.Listeners {
		i := slices.IndexFunc(p.gateway.listeners, func(old *listener) bool { return place(old.spec) == place(spec) })
		n := &listener{
			door:     &door{name: spec.Name, https: spec.Scheme == authority.HTTPS},
			gateway:  p.gateway,
			spec:     spec,
			timeouts: p.loaded.Timeouts,
		}
		old := new(listener)
		if i >= 0 {
			old = p.gateway.listeners[i]
		}
		p.next, p.before = append(p.next, n), append(p.before, old)
		if err := n.takeOver(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

// takeOver gives n what it needs: from old where that has it, else new.
func (n *listener) takeOver(ctx context.Context, old *listener) error {
	if old.udp != nil && n.spec.H3 && old.name != n.name {
		return fmt.Errorf("listener %q: it cannot be renamed from %q while it serves h3, whose connections live on its UDP socket"+
			"\n    hint: keep the name, or restart the gateway", n.name, old.name)
	}
	if old.door != nil && old.name == n.name && old.https == n.https {
		n.door = old.door // servers that stay must hear of what becomes of the listener
	}
	if n.spec.H1 || n.spec.H2 {
		n.socket.tcp = old.socket.tcp
	}
	if n.spec.H3 {
		n.socket.udp = old.socket.udp
	}
	if err := n.socket.bind(ctx, n.spec, old.socket.port()); err != nil {
		return n.gateway.parting.explain(err)
	}
	switch {
	case n.socket.tcp == nil:
	case old.tcp != nil && old.tcp.key == n.key():
		n.tcp = old.tcp
	default:
		n.tcp = n.newTCP()
	}
	switch {
	case n.socket.udp == nil:
	case old.udp != nil:
		n.udp = old.udp
	default:
		n.udp = n.newUDP()
	}
	return nil
}

// undo closes what make opened.
func (p *plan) undo() {
	for i, n := range p.next {
		n.socket.closeBut(&p.before[i].socket)
	}
}

// setGone marks the doors of listeners that go and whose connections the new table would not refuse by itself.
func (p *plan) setGone(gone bool) {
	for _, old := range p.gateway.listeners {
		old.gone.Store(gone && p.mistakes(old))
	}
}

// mistakes reports whether the new table would take connections of old for those of another listener, since that has the name now. Of
// plaintext connections it knows too little even where no listener has the name.
func (p *plan) mistakes(old *listener) bool {
	i := slices.IndexFunc(p.loaded.Listeners, func(in *config.Listener) bool { return in.Name == old.name })
	if i < 0 {
		return !old.https
	}
	in := p.loaded.Listeners[i]
	return place(in) != place(old.spec) || (in.Scheme == authority.HTTPS) != old.https
}

// commit starts what is new and takes out of service what is not needed any more. It cannot fail.
func (p *plan) commit() {
	g := p.gateway
	for _, old := range g.listeners {
		p.release(old)
	}
	for i, n := range p.next {
		old := p.before[i]
		n.advertise()
		if n.tcp != nil && n.tcp != old.tcp {
			if old.tcp != nil {
				<-old.tcp.served // the port is lent to one server at a time
			}
			n.tcp.begin(g, n.name)
		}
		if n.udp != nil && n.udp != old.udp {
			n.udp.begin(g, n.name)
		}
		if n.udp != nil && n.udp == old.udp && n.udp.key.restarts() != n.key().restarts() {
			g.logger().Warn("changed time-outs take effect for HTTP/3 with the next start", "listener", n.name)
		}
	}
	g.listeners = p.next
}

// restarts is the part of a key that matters to HTTP/3.
func (k frontKey) restarts() frontKey { return frontKey{header: k.header, idle: k.idle} }

// release drains in the background what old has and the next listeners have not.
func (p *plan) release(old *listener) {
	var next listener
	if i := slices.Index(p.before, old); i >= 0 {
		next = *p.next[i]
	}
	if old.tcp != nil && old.tcp != next.tcp {
		if old.socket.tcp != next.socket.tcp {
			old.socket.tcp.Close() // at once: nobody will accept what waits there
		}
		p.retire(old.tcp, func() {})
	}
	if old.udp != nil && old.udp != next.udp {
		port := old.socket.port()
		p.gateway.parting.add(port, 1)
		p.retire(old.udp, func() {
			old.socket.udp.Close()
			p.gateway.parting.add(port, -1)
		})
	}
}

// retire drains a server within timeouts.drain, or until a shutdown of the gateway cuts everything.
func (p *plan) retire(f *front, then func()) {
	g, limit := p.gateway, p.loaded.Timeouts.Drain
	g.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(g.hard, limit)
		defer cancel()
		if f.shutdown(ctx) != nil {
			f.close()
		}
		then()
	})
}
