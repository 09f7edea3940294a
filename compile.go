package usher

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/usher-http/usher/authority"
)

// A state is a compiled configuration. It is immutable.
type state struct {
	generation uint64
	rules      Config // without its Sites: those are in the table
	table      *authority.Table
	listeners  []Listener
}

// 0 is the generation of the zero Guard's state.
var generations atomic.Uint64

// A site is what the TLS layer knows of a site. It rides in authority.Site.Value.
type site struct {
	name         string
	certificates []*certificate
	clientAuth   ClientAuth
	clientCAs    *x509.CertPool
	casDigest    authority.CADigest
	minVersion   uint16
	value        any
}

// Value returns the Value of the site that a verdict is about; nil where there is none.
func Value(v authority.Verdict) any {
	if v.Site == nil {
		return nil
	}
	return siteOf(v.Site).value
}

func siteOf(s *authority.Site) *site { return s.Value.(*site) }

func compile(c Config) (*state, error) {
	o := authority.Options{Mode: c.Mode, DefaultSite: c.DefaultSite, SamePolicy: c.SamePolicy}
	switch c.UnknownHost {
	case 0, 421:
	case 404:
		o.UnknownNotFound = true
	default:
		return nil, fmt.Errorf("usher: UnknownHost is 421 or 404, not %d", c.UnknownHost)
	}
	for _, l := range c.Listeners {
		scheme := authority.HTTPS
		if l.Scheme != "" {
			scheme = authority.ParseScheme(l.Scheme)
		}
		o.Listeners = append(o.Listeners, authority.Listener{Name: l.Name, Scheme: scheme, Ports: l.Ports})
	}
	s := &state{generation: generations.Add(1), rules: c, listeners: slices.Clone(c.Listeners)}
	s.rules.Sites = nil
	if len(c.Sites) == 0 {
		if c.DefaultSite != "" {
			return nil, fmt.Errorf("usher: DefaultSite %q, but there are no sites", c.DefaultSite)
		}
		s.table = authority.CertificateRule(o)
		return s, nil
	}
	sites, err := compileSites(c.Sites)
	if err != nil {
		return nil, err
	}
	if s.table, err = authority.NewTable(o, sites); err != nil {
		return nil, fmt.Errorf("usher: %w", err)
	}
	return s, nil
}

func (s *state) with(changed []Site, remove []string) (*state, error) {
	sites, err := compileSites(changed)
	if err != nil {
		return nil, err
	}
	next := *s
	next.generation = generations.Add(1)
	if next.table, err = s.table.With(sites, remove...); err != nil {
		return nil, fmt.Errorf("usher: %w", err)
	}
	return &next, nil
}

func compileSites(from []Site) ([]authority.Site, error) {
	sites := make([]authority.Site, len(from))
	for i := range from {
		s, err := compileSite(&from[i])
		if err != nil {
			return nil, fmt.Errorf("usher: site %d %q: %w", i+1, from[i].Name, err)
		}
		sites[i] = *s
	}
	return sites, nil
}

func compileSite(from *Site) (*authority.Site, error) {
	in := &site{
		name:       from.Name,
		clientAuth: from.ClientAuth,
		minVersion: from.MinVersion,
		value:      from.Value,
	}
	s := &authority.Site{
		Listeners:      from.Listeners,
		ClientAuth:     from.ClientAuth,
		MinVersion:     from.MinVersion,
		OwnConnections: from.OwnConnections,
		PlainHTTP:      from.PlainHTTP,
		Value:          in,
	}
	for _, h := range from.Hosts {
		p, err := authority.ParsePattern(h)
		if err != nil {
			return nil, err
		}
		s.Patterns = append(s.Patterns, p)
	}
	if in.name == "" && len(from.Hosts) > 0 {
		in.name = from.Hosts[0]
	}
	s.Name = in.name
	for i := range from.Certificates {
		cert, err := newCertificate(&from.Certificates[i])
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		in.certificates = append(in.certificates, cert)
		s.Certificates = append(s.Certificates, cert.names)
	}
	if from.ClientAuth != None {
		if len(from.ClientCAs) == 0 {
			return nil, fmt.Errorf("client authentication %q needs ClientCAs", from.ClientAuth)
		}
		in.clientCAs = x509.NewCertPool()
		for _, ca := range from.ClientCAs {
			in.clientCAs.AddCert(ca)
		}
		in.casDigest = CADigest(from.ClientCAs)
		s.ClientCAs = in.casDigest
	}
	return s, nil
}

// CADigest identifies a set of certificate authorities: the SHA-256 over the length-prefixed, sorted DER of its
// certificates. Order and repetition do not count; the set, not where it came from, is the identity.
func CADigest(cas []*x509.Certificate) authority.CADigest {
	ders := make([][]byte, len(cas))
	for i, ca := range cas {
		ders[i] = ca.Raw
	}
	slices.SortFunc(ders, bytes.Compare)
	ders = slices.CompactFunc(ders, bytes.Equal)
	h := sha256.New()
	for _, der := range ders {
		h.Write(field(nil, der))
	}
	return authority.CADigest(h.Sum(nil))
}

// trusts reports whether the peer address belongs to a trusted gateway of the listener.
func (s *state) trusts(listener string, peer netip.Addr) bool {
	for i := range s.listeners {
		if s.listeners[i].Name != listener {
			continue
		}
		for _, p := range s.listeners[i].TrustedGateways {
			if p.Contains(peer) {
				return true
			}
		}
	}
	return false
}

// plaintext reports whether the listener is one for http origins.
func (s *state) plaintext(listener string) bool {
	return slices.ContainsFunc(s.listeners, func(l Listener) bool { return l.Name == listener && l.Scheme == "http" })
}
