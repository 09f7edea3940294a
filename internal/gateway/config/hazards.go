package config

import (
	"crypto/x509"
	"time"

	"github.com/usher-http/usher/authority"
)

// findHazards looks at a configuration that is legal for what will surprise its author.
func (k *checker) findHazards() {
	index := k.indexHosts()
	for i, s := range k.sites {
		c := k.siteAt[s]
		k.expiring(c, &k.file.Sites[i], s)
		k.notAdvertisable(c, s)
		k.plainNotServed(c, s)
		k.sharedCertificate(c, s, index)
		k.wildcardOverOwn(c, s, index)
	}
	k.portsDiffer()
	k.defaultNotServed()
}

// expiring warns of certificates near their end: 14 days, or the last third of a shorter life.
func (k *checker) expiring(c *cursor, spec *SiteSpec, s *Site) {
	for i := range s.Certificates {
		leaf := s.Certificates[i].Leaf
		left := leaf.NotAfter.Sub(k.now())
		if left > min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/3) {
			continue
		}
		k.warn(c.key("tls").key("certificates").item(i).key("certificate"), CertificateExpiry, "renew it",
			"certificate %q ends on %s", spec.TLS.Certificates[i].Certificate, leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	}
}

// notAdvertisable says, once a site, that its origins cannot all be listed in an ORIGIN frame (RFC 8336 section 2.1).
func (k *checker) notAdvertisable(c *cursor, s *Site) {
	if !k.advertised(s) {
		return
	}
	at, name := c.key("hosts"), ""
	for i, p := range s.Patterns {
		if p.IsWildcard() {
			at, name = k.hostAt(owner{s, i}), p.String()
			break
		}
	}
	for i := 0; i < len(s.Names) && name == ""; i++ {
		if name = firstWildcard(s.Names[i]); name != "" {
			at = c.key("tls").key("certificates").item(i).key("certificate")
		}
	}
	if name != "" {
		k.warn(at, NotAdvertisable, "nothing is less safe for it; origin_frame: never on the listener says that none is wanted",
			"%q is no single host, so no ORIGIN frame is sent on connections of site %q", name, s.Name)
	}
}

// advertised reports whether a listener of the site would send ORIGIN frames that list everything.
func (k *checker) advertised(s *Site) bool {
	for i := range k.file.Listeners {
		l := &k.file.Listeners[i]
		if l.Scheme == "https" && l.OriginFrame == "auto" && s.On(l.Name) {
			return true
		}
	}
	return false
}

func firstWildcard(n *authority.Names) string {
	for _, name := range n.All() {
		if name[0] == '*' {
			return name
		}
	}
	return ""
}

func (k *checker) plainNotServed(c *cursor, s *Site) {
	if s.PlainHTTP && !k.served(s, authority.HTTP) {
		k.warn(c.key("http"), PlainNotServed, "add a listener with scheme: http to its listeners", "site %q has http: serve and no plaintext listener", s.Name)
	}
}

// defaultNotServed warns where a listener has no default site although the file names one.
func (k *checker) defaultNotServed() {
	if k.file.DefaultSite == "" {
		return
	}
	for _, s := range k.sites {
		if s.Name != k.file.DefaultSite {
			continue
		}
		for i := range k.file.Listeners {
			if l := &k.file.Listeners[i]; l.Scheme == "https" && !s.On(l.Name) {
				k.warn(k.root.key("default_site"), DefaultNotServed, "add the listener to the site, or serve no such clients there",
					"default_site %q is not served on listener %q: clients without a server name are refused there", s.Name, l.Name)
			}
		}
	}
}

// sameSet reports whether both are the same certificates, in whatever order.
func sameSet(a, b []*x509.Certificate) bool {
	if len(a) != len(b) {
		return false
	}
	for _, c := range a {
		if !contains(b, c) {
			return false
		}
	}
	return true
}
