package plan

import (
	"strconv"
	"strings"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// hosts are the exact hosts of all sites, each under its own name and under the wildcard that covers it, so that those
// that a certificate covers are found without looking at every site.
type hosts map[string][]authority.Authority

func hostsOf(sites []*config.Site) hosts {
	m := hosts{}
	for _, s := range sites {
		for _, h := range s.Patterns {
			a := h.Authority()
			if h.IsWildcard() || h.IsCatchAll() {
				continue
			}
			m[a.Host()] = append(m[a.Host()], a)
			if _, parent, ok := strings.Cut(a.Host(), "."); ok && !a.IsIP() {
				m["*."+parent] = append(m["*."+parent], a)
			}
		}
	}
	return m
}

// covered returns the hosts that a certificate is valid for, and an example of those that it covers beside them.
func (m hosts) covered(names *authority.Names) (list []authority.Authority) {
	for _, n := range names.All() {
		list = append(list, m[n]...)
		if a, ok := m.example(n); ok && len(m[a.Host()]) == 0 {
			list = append(list, a)
		}
	}
	return list
}

// example returns a host that a name of a certificate stands for.
func (m hosts) example(name string) (authority.Authority, bool) {
	if parent, wild := strings.CutPrefix(name, "*."); wild {
		return m.below(parent)
	}
	a, err := authority.ParseHost(name)
	return a, err == nil
}

// below returns a host under a wildcard that no site has by its full name.
func (m hosts) below(parent string) (authority.Authority, bool) {
	for i := 0; ; i++ {
		label := "any"
		if i > 0 {
			label += strconv.Itoa(i)
		}
		a, err := authority.ParseHost(label + "." + parent)
		if err != nil {
			return a, false
		}
		if len(m[a.Host()]) == 0 {
			return a, true
		}
	}
}
