package usher

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/usher-http/usher/authority"
)

// A state is a compiled configuration. It is immutable.
type state struct {
	generation uint64 // another number for each state
	rules      Config // without its Sites: those are in the table
	table      *authority.Table
	listeners  []listener
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
	o := authority.Options{Mode: c.Mode, DefaultSite: c.DefaultSite, SamePolicy: c.SamePolicy, MaxOrigins: c.MaxOrigins}
	switch c.UnknownHost {
	case 0, 421:
	case 404:
		o.UnknownNotFound = true
	default:
		return nil, fmt.Errorf("usher: UnknownHost is 421 or 404, not %d", c.UnknownHost)
	}
	s := &state{generation: generations.Add(1), rules: c}
	s.rules.Sites = nil
	for _, l := range c.Listeners {
		in, err := newListener(l)
		if err != nil {
			return nil, fmt.Errorf("usher: listener %q: %w", l.Name, err)
		}
		if s.listener(l.Name) != nil {
			return nil, fmt.Errorf("usher: two listeners have the name %q", l.Name)
		}
		s.listeners = append(s.listeners, in)
		o.Listeners = append(o.Listeners, authority.Listener{Name: l.Name, Scheme: in.scheme, Ports: in.Ports, OriginFrame: l.OriginFrame})
	}
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
	if err := check(from); err != nil {
		return nil, err
	}
	for i := range from.Certificates {
		own := from.Certificates[i]
		cert, err := newCertificate(&own)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		in.certificates = append(in.certificates, cert)
		s.Certificates = append(s.Certificates, cert.names)
	}
	if from.ClientAuth != None {
		in.clientCAs = x509.NewCertPool()
		for _, ca := range from.ClientCAs {
			in.clientCAs.AddCert(ca)
		}
		in.casDigest = CADigest(from.ClientCAs)
		s.ClientCAs = in.casDigest
	}
	return s, nil
}

// check finds mistakes that would leave a site more open, or more closed, than it looks.
func check(s *Site) error {
	switch {
	case s.ClientAuth != None && len(s.ClientCAs) == 0:
		return fmt.Errorf("client authentication %q needs ClientCAs", s.ClientAuth)
	case s.ClientAuth == None && len(s.ClientCAs) > 0:
		return errors.New("ClientCAs without client authentication protect nothing: set ClientAuth to Optional or Require")
	case slices.Contains(s.ClientCAs, nil):
		return errors.New("one of the ClientCAs is nil")
	case s.MinVersion != 0 && (s.MinVersion < tls.VersionTLS10 || s.MinVersion > tls.VersionTLS13):
		return fmt.Errorf("MinVersion is 0 or a constant such as tls.VersionTLS13, not %#04x", s.MinVersion)
	case slices.Contains(s.Hosts, "*") && len(s.Certificates) == 0:
		// It has the hosts that its certificates cover, and so would have none.
		return errors.New(`the host "*" needs Certificates`)
	}
	return nil
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
