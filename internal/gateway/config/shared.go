package config

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/usher-http/usher/authority"
)

// An access is what a site wants of clients. Connections are shared without a 421 between sites of one access alone.
type access struct {
	mode authority.ClientAuth
	cas  [sha256.Size]byte
}

// A hostIndex finds the sites that a certificate covers, and the certificates that cover a site, without comparing
// every site with every other. Keys are hosts, and parents of wildcards and of names with a leading dot.
type hostIndex struct {
	access   map[*Site]access
	accesses []access
	exact    map[string]map[access][]*Site // sites that have the host
	below    map[string]map[access][]*Site // sites that have a host or a wildcard right below the parent
	names    map[string]map[access][]*Site // sites whose certificates name the host, or the wildcard as its parent
}

// maxNamed bounds what is looked at for one hazard, which names a few sites only.
const maxNamed = 64

func (k *checker) indexHosts() *hostIndex {
	x := &hostIndex{
		access: map[*Site]access{},
		exact:  map[string]map[access][]*Site{}, below: map[string]map[access][]*Site{}, names: map[string]map[access][]*Site{},
	}
	for _, s := range k.sites {
		a := access{s.ClientAuth, caDigest(s.ClientCAs)}
		x.access[s] = a
		if !slices.Contains(x.accesses, a) {
			x.accesses = append(x.accesses, a)
		}
		if !k.served(s, authority.HTTPS) {
			continue
		}
		for _, p := range s.Patterns {
			host, parent := keysOf(p)
			put(x.exact, host, a, s)
			put(x.below, parent, a, s)
		}
		for _, n := range coverage(s) {
			put(x.names, n, a, s)
		}
	}
	return x
}

func put(m map[string]map[access][]*Site, key string, a access, s *Site) {
	if key == "" {
		return
	}
	if m[key] == nil {
		m[key] = map[access][]*Site{}
	}
	if list := m[key][a]; len(list) == 0 || list[len(list)-1] != s {
		m[key][a] = append(list, s)
	}
}

// keysOf returns the host of an exact pattern, and the parent, with a leading dot, of a name or a wildcard.
func keysOf(p authority.Pattern) (host, parent string) {
	a := p.Authority()
	switch {
	case p.IsCatchAll():
		return "", ""
	case p.IsWildcard():
		return "", "." + a.Host()
	case a.IsIP():
		return a.Host(), ""
	}
	if i := strings.IndexByte(a.Host(), '.'); i >= 0 {
		return a.Host(), a.Host()[i:]
	}
	return a.Host(), ""
}

// coverage returns the names of a site's certificates; wildcards as their parents. A local certificate names the hosts.
func coverage(s *Site) []string {
	var list []string
	for _, names := range s.Names {
		for _, n := range names.All() {
			list = append(list, strings.TrimPrefix(n, "*"))
		}
	}
	if s.Issuer == Local {
		for _, p := range s.Patterns {
			if host, parent := keysOf(p); host != "" {
				list = append(list, host)
			} else if parent != "" {
				list = append(list, parent)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// neighbours returns the sites of another access that browsers may share a connection with s with: its certificates
// cover their hosts, or theirs its.
func (k *checker) neighbours(s *Site, x *hostIndex) []*Site {
	found := map[*Site]bool{}
	collect := func(by map[access][]*Site) {
		for _, a := range x.accesses {
			if a == x.access[s] {
				continue
			}
			for i, other := range by[a] {
				if i == maxNamed || len(found) >= maxNamed {
					break
				}
				if k.shareListener(s, other, true) {
					found[other] = true
				}
			}
		}
	}
	for _, n := range coverage(s) {
		if n[0] == '.' {
			collect(x.below[n])
		} else {
			collect(x.exact[n])
		}
	}
	for _, p := range s.Patterns {
		host, parent := keysOf(p)
		collect(x.names[host])
		collect(x.names[parent])
	}
	return k.inOrder(found)
}

func (k *checker) inOrder(found map[*Site]bool) []*Site {
	list := make([]*Site, 0, len(found))
	for s := range found {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Site) int { return k.order[a] - k.order[b] })
	return list
}

// sharedCertificate warns, once a site with client authentication, of sites that browsers reach over the same
// connections and that want something else of clients. Of two such sites the later one is told.
func (k *checker) sharedCertificate(c *cursor, s *Site, x *hostIndex) {
	if s.ClientAuth == authority.None {
		return
	}
	var names []string
	for _, other := range k.neighbours(s, x) {
		if other.ClientAuth == authority.None || k.order[other] < k.order[s] {
			names = append(names, other.Name)
		}
	}
	if len(names) > 0 {
		k.warn(c.key("tls").key("client_auth"), SharedCertificate,
			"a certificate of its own that no other site's covers saves browsers a 421 and a second connection",
			"one certificate covers hosts of site %q and of %s, and they differ in client authentication", s.Name, some(names))
	}
}

// wildcardOverOwn warns of wildcards that stand over a site which wants connections of its own.
func (k *checker) wildcardOverOwn(c *cursor, s *Site, x *hostIndex) {
	if !s.OwnConnections {
		return
	}
	for _, p := range s.Patterns {
		_, parent := keysOf(p)
		if parent == "" || p.IsWildcard() {
			continue
		}
		for _, a := range x.accesses {
			for i, other := range x.below[parent][a] {
				if i == maxNamed {
					break
				}
				if other != s && hasPattern(other, "*"+parent) && k.shareListener(s, other, true) {
					k.warn(c.key("coalesce"), WildcardOverOwn, "browsers will try its connections first and get a 421; a certificate without the wildcard saves that",
						"site %q has coalesce: false, and host %q of site %q stands over its host %q", s.Name, "*"+parent, other.Name, p)
					return
				}
			}
		}
	}
}

func hasPattern(s *Site, host string) bool {
	return slices.ContainsFunc(s.Patterns, func(p authority.Pattern) bool {
		return p.IsWildcard() && "*."+p.Authority().Host() == host
	})
}

// portsDiffer warns of sites that have one host under several ports of a listener and differ in policy: a handshake
// names no port, so it can choose the policy of one of them only.
func (k *checker) portsDiffer() {
	byHost := map[string][]owner{}
	for _, s := range k.sites {
		for i, p := range s.Patterns {
			if p.IsCatchAll() {
				continue
			}
			host := p.Authority().Host()
			if p.IsWildcard() {
				host = "*." + host
			}
			for _, o := range byHost[host][:min(maxNamed, len(byHost[host]))] {
				if o.site != s && o.site.Patterns[o.host].Port() != p.Port() && !samePolicy(o.site, s) && k.shareListener(s, o.site, true) {
					k.warn(k.hostAt(owner{s, i}), PortsDiffer, "a handshake names no port: requests for the other site get a 421; give both the same tls section",
						"site %q and site %q share the host %q on one listener and differ in their TLS policy", s.Name, o.site.Name, host)
					break
				}
			}
			byHost[host] = append(byHost[host], owner{s, i})
		}
	}
}

func samePolicy(a, b *Site) bool {
	return a.ClientAuth == b.ClientAuth && a.MinVersion == b.MinVersion && a.OwnConnections == b.OwnConnections &&
		!a.OwnConnections && sameSet(a.ClientCAs, b.ClientCAs)
}

func caDigest(certs []*x509.Certificate) (digest [sha256.Size]byte) {
	if len(certs) == 0 {
		return digest
	}
	sums := make([]string, len(certs))
	for i, c := range certs {
		sum := sha256.Sum256(c.Raw)
		sums[i] = string(sum[:])
	}
	slices.Sort(sums)
	return sha256.Sum256([]byte(strings.Join(sums, "")))
}
