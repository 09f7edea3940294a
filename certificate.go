package usher

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"sync"

	"github.com/usher-http/usher/authority"
)

// A certificate is one that the server can present, with what it proves.
type certificate struct {
	tls   *tls.Certificate
	names *authority.Names
	leaf  [sha256.Size]byte // of the leaf's DER
}

func newCertificate(c *tls.Certificate) (*certificate, error) {
	if len(c.Certificate) == 0 {
		return nil, errors.New("empty certificate chain")
	}
	if c.PrivateKey == nil {
		return nil, errors.New("no private key")
	}
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &certificate{tls: c, names: namesOf(leaf), leaf: sha256.Sum256(c.Certificate[0])}, nil
}

// namesOf compiles the subject alternative names of a leaf.
func namesOf(leaf *x509.Certificate) *authority.Names {
	var ips []netip.Addr
	for _, ip := range leaf.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			ips = append(ips, a)
		}
	}
	return authority.NewNames(leaf.DNSNames, ips)
}

// A nameCache remembers the names of leaves that a caller's GetCertificate returns anew for every handshake.
type nameCache struct {
	mu     sync.Mutex
	byLeaf map[[sha256.Size]byte]*authority.Names
}

// Past this the cache starts anew: leaves are replaced a few times a year, not thousands of times.
const maxCachedLeaves = 4096

func (n *nameCache) certificate(c *tls.Certificate) (*certificate, error) {
	if len(c.Certificate) == 0 {
		return nil, errors.New("empty certificate chain")
	}
	digest := sha256.Sum256(c.Certificate[0])
	n.mu.Lock()
	names := n.byLeaf[digest]
	n.mu.Unlock()
	if names != nil {
		return &certificate{c, names, digest}, nil
	}
	cert, err := newCertificate(c)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byLeaf == nil || len(n.byLeaf) >= maxCachedLeaves {
		n.byLeaf = map[[sha256.Size]byte]*authority.Names{}
	}
	n.byLeaf[digest] = cert.names
	return cert, nil
}

// selectCertificate chooses as crypto/tls does for a configuration, because the guard must know which leaf is
// presented. nil: the configuration has none.
func selectCertificate(c *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.GetCertificate != nil && (len(c.Certificates) == 0 || hello.ServerName != "") {
		cert, err := c.GetCertificate(hello)
		if cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range c.Certificates {
		if hello.SupportsCertificate(&c.Certificates[i]) == nil {
			return &c.Certificates[i], nil
		}
	}
	if len(c.Certificates) > 0 {
		return &c.Certificates[0], nil
	}
	return nil, nil
}

// choose is selectCertificate for a site's own certificates.
func (s *site) choose(hello *tls.ClientHelloInfo) *certificate {
	// SupportsCertificate compares names too; with the default site or a catch-all they may differ, and the key type
	// is what matters.
	nameless := *hello
	nameless.ServerName = ""
	for _, c := range s.certificates {
		if nameless.SupportsCertificate(c.tls) == nil {
			return c
		}
	}
	return s.certificates[0]
}
