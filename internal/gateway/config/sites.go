package config

import (
	"slices"

	"github.com/usher-http/usher/authority"
)

// The longest name of a site: authority.NewTable takes no longer one.
const maxSiteName = 253

func (k *checker) checkSites() []*Site {
	k.siteAt, k.order = map[*Site]*cursor{}, map[*Site]int{}
	at := k.root.key("sites")
	if len(k.file.Sites) == 0 {
		k.fail(at, emptyHint, "there are no sites")
	}
	list := make([]*Site, len(k.file.Sites))
	lines := map[string]int{}
	for i := range k.file.Sites {
		c := at.item(i)
		list[i] = k.checkSite(c, &k.file.Sites[i])
		k.siteAt[list[i]], k.order[list[i]] = c, i
		name := list[i].Name
		if first, taken := lines[name]; taken && name != "" {
			k.sameName(c, name, first)
			continue
		}
		lines[name] = c.place().Line
	}
	k.sites = list
	k.checkOwners()
	k.checkPorts()
	return list
}

// sameName reports the second site of a name. Where neither has a name of its own, the host that both have is reported
// anyway, unless they share no listener.
func (k *checker) sameName(c *cursor, name string, first int) {
	if at := c.key("name"); at.present() {
		k.fail(at, "", "two sites have the name %q, the first in line %d", name, first)
		return
	}
	k.fail(c, "give each a name", "two sites have the name %q, which is their first host; the other is in line %d", name, first)
}

func (k *checker) checkSite(c *cursor, spec *SiteSpec) *Site {
	s := &Site{Name: spec.Name, OwnConnections: !spec.Coalesce, PlainHTTP: spec.HTTP == "serve"}
	s.Line, s.Column = c.place().Line, c.place().Column
	if len(spec.Name) > maxSiteName {
		k.fail(c.key("name"), "", "the name of a site has up to %d bytes, not %d", maxSiteName, len(spec.Name))
	}
	k.checkHosts(c.key("hosts"), spec.Hosts, s)
	s.Listeners = k.siteListeners(c.key("listeners"), spec)
	k.oneOf(c.key("http"), spec.HTTP, "redirect", "serve")
	k.checkTLS(c, spec, s)
	s.Routes = k.checkRoutes(c, spec)
	return s
}

func (k *checker) siteListeners(c *cursor, spec *SiteSpec) []string {
	if spec.Listeners != nil && len(spec.Listeners) == 0 {
		k.fail(c, "leave the key out for all listeners", "listeners is empty: the site would be served nowhere")
	}
	names := make([]string, 0, len(k.file.Listeners))
	for i := range k.file.Listeners {
		names = append(names, k.file.Listeners[i].Name)
	}
	for i, name := range spec.Listeners {
		switch {
		case slices.Contains(spec.Listeners[:i], name):
			k.fail(c.item(i), "", "listener %q is given twice", name)
		case k.decoded && !slices.Contains(names, name):
			k.fail(c.item(i), cmpHint(didYouMean(name, names), "the listeners are "+some(names)), "there is no listener %q", name)
		}
	}
	return spec.Listeners
}

func cmpHint(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// served reports whether a listener of that scheme serves the site.
func (k *checker) served(s *Site, scheme authority.Scheme) bool {
	for name, l := range k.listeners {
		if l.Scheme == scheme && s.On(name) {
			return true
		}
	}
	return false
}

func (k *checker) checkDefaultSite() {
	name := k.file.DefaultSite
	if name == "" || !k.decoded {
		return
	}
	names := make([]string, 0, len(k.sites))
	for _, s := range k.sites {
		if s.Name == name {
			return
		}
		names = append(names, s.Name)
	}
	k.fail(k.root.key("default_site"), cmpHint(didYouMean(name, names), "the sites are "+some(names)), "there is no site %q", name)
}
