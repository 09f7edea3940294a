package gateway

import (
	"crypto/tls"
	"path/filepath"
	"slices"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/localca"
)

// LocalCA opens the local certificate authority of a state folder, and makes it where there is none. The clock may be
// nil.
func LocalCA(state string, clock func() time.Time) (*localca.Store, error) {
	return localca.Open(filepath.Join(state, "ca"), clock)
}

// issue is what Compile is given. The authority is made when the first site needs it.
func (g *Gateway) issue(state string) func([]string) (tls.Certificate, error) {
	return func(hosts []string) (tls.Certificate, error) {
		if g.ca == nil {
			ca, err := LocalCA(state, g.options.Clock)
			if err != nil {
				return tls.Certificate{}, err
			}
			g.ca = ca
		}
		return g.ca.Certificate(hosts)
	}
}

// How soon a renewal that failed is tried again.
const renewRetry = time.Minute

// renewWhileRunning renews certificates of the local authority until the gateway ends. It looks at the clock now and then
// instead of sleeping until a date: machines are suspended and clocks are set.
func (g *Gateway) renewWhileRunning() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-g.stopping:
			return
		case <-timer.C:
		}
		timer.Reset(g.renew())
	}
}

// renew renews what is due, and returns when to look again.
func (g *Gateway) renew() time.Duration {
	g.change.Lock()
	defer g.change.Unlock()
	now, wait := g.options.Clock(), g.options.renewEvery
	if g.stopped {
		return wait
	}
	var changed []usher.Site
	for i, in := range g.loaded.Sites {
		if in.Issuer != config.Local {
			continue
		}
		site := g.compiled.Sites[i]
		if left := localca.RenewAt(site.Certificates[0].Leaf).Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		cert, err := g.ca.Certificate(issuedHosts(in))
		if err != nil {
			g.logger().Error("certificate not renewed", "site", site.Name, "error", err.Error())
			wait = min(wait, renewRetry)
			continue
		}
		site.Certificates = []tls.Certificate{cert}
		changed = append(changed, site)
	}
	if len(changed) > 0 && !g.renewed(changed) {
		wait = min(wait, renewRetry)
	}
	return wait
}

// renewed puts certificates in place, all in one step.
func (g *Gateway) renewed(changed []usher.Site) bool {
	if err := g.guard.Update(changed); err != nil {
		g.logger().Error("certificates not renewed", "error", err.Error())
		return false
	}
	sites := slices.Clone(g.compiled.Sites)
	for _, site := range changed {
		i := slices.IndexFunc(sites, func(s usher.Site) bool { return s.Name == site.Name })
		sites[i] = site
		g.logger().Info("certificate renewed", "site", site.Name, "not_after", site.Certificates[0].Leaf.NotAfter)
	}
	g.compiled.Sites = sites
	g.metrics.certificates(sites)
	return true
}
