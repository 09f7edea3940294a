package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/gateway/config"
)

func (g *Gateway) reload(l *config.Loaded) error {
	g.change.Lock()
	defer g.change.Unlock()
	if g.stopped {
		return errors.New("the gateway is shutting down")
	}
	if err := g.unchangeable(l); err != nil {
		return err
	}
	if err := g.apply(context.Background(), l); err != nil {
		return err
	}
	if l.Admin != nil {
		g.admin.setToken(l.Admin)
	}
	return nil
}

// unchangeable names what needs a restart.
func (g *Gateway) unchangeable(l *config.Loaded) error {
	address := func(a *config.Admin) string {
		if a == nil {
			return "(none)"
		}
		return a.Address
	}
	if old, now := address(g.loaded.Admin), address(l.Admin); old != now {
		return fmt.Errorf("admin.address cannot change from %s to %s while running\n    hint: restart the gateway", old, now)
	}
	if g.loaded.State != l.State {
		return fmt.Errorf("state cannot change from %q to %q while running\n    hint: restart the gateway", g.loaded.State, l.State)
	}
	return nil
}

// apply puts a configuration in place: all of it or nothing. Everything that can fail comes before the first thing
// that shows, and certificates are issued last: nobody finds a state folder or a log of a gateway that could not start.
// The lock is held.
func (g *Gateway) apply(ctx context.Context, l *config.Loaded) error {
	p := &plan{gateway: g, loaded: l}
	if err := p.make(ctx); err != nil {
		p.undo()
		return inFile(l.Path, err)
	}
	log, err := openTarget(l.Log.Output, g.options.Log)
	if err != nil {
		p.undo()
		return fmt.Errorf("%s: log.output: %w", l.Path, err)
	}
	compiled, err := g.compile(p)
	if err != nil {
		p.undo()
		log.abandon()
		return err
	}
	old := g.compiled
	g.output.replace(log.Writer, log.closer())
	g.rules.Store(&rules{logger: compiled.Logger, access: newAccessLog(g.output, l.Log), timeouts: l.Timeouts})
	g.loaded, g.compiled = l, compiled
	p.commit()
	g.tellReloaded()
	g.metrics.certificates(compiled.Sites)
	g.metrics.lastReload.Set(float64(g.options.Clock().Unix()))
	retire(old)
	g.keepLastGood(l)
	return nil
}

// compile gives the guard the table for what the plan has bound.
func (g *Gateway) compile(p *plan) (usher.Config, error) {
	compiled, err := Compile(p.loaded, g.issue(p.loaded.State))
	if err != nil {
		return compiled, err
	}
	for i, n := range p.next {
		compiled.Listeners[i].Ports = n.ports()
	}
	compiled.Logger = newLogger(g.output, p.loaded.Log)
	p.setGone(true)
	if err := g.guard.Replace(compiled); err != nil {
		p.setGone(false)
		return compiled, err
	}
	return compiled, nil
}

// tellReloaded has every server look at its connections, in the background: there may be many.
func (g *Gateway) tellReloaded() {
	for _, l := range g.listeners {
		for _, f := range l.fronts() {
			if f.reloaded != nil {
				g.leaving.Go(f.reloaded)
			}
		}
	}
}

func retire(c usher.Config) {
	for i := range c.Sites {
		if rs, ok := c.Sites[i].Value.(*routes); ok {
			rs.retire()
		}
	}
}
