package localca

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Certificate returns a server certificate for exactly these hosts, in whatever order and case they are
// given (see [Leaf] for what a host may be). It is the one that was kept, unless that is missing, damaged,
// past two thirds of its life ([RenewAt]), not of this root, or not for these hosts and its own key: then
// a new one is issued and kept. To renew, call it again.
func (s *Store) Certificate(hosts []string) (tls.Certificate, error) {
	set, err := canonicalHosts(hosts)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("local certificate: %w", err)
	}
	if len(set) == 0 {
		return tls.Certificate{}, errors.New("local certificate: no hosts")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.rootInTime(0); err != nil {
		return tls.Certificate{}, fmt.Errorf("local certificate: %w", err)
	}
	path := s.path(leafFile(set))
	if kept, ok := s.kept(path, set); ok {
		return kept, nil
	}
	cert, err := s.issue(path, set)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("local certificate for %q: %w", set, err)
	}
	return cert, nil
}

// RenewAt tells when a leaf has lived two thirds of its life: from then on [Store.Certificate] issues a new
// one.
func RenewAt(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return leaf.NotAfter.Add(-life / 3)
}

// leafFile names the file of a sorted set of hosts. Hosts have no newline, so that no two sets share a name.
func leafFile(set []string) string {
	sum := sha256.Sum256([]byte(strings.Join(set, "\n")))
	return "leaf-" + hex.EncodeToString(sum[:16]) + ".pem"
}

// kept reads a leaf and checks it. Whatever is wrong with it, a new leaf is the cure.
func (s *Store) kept(path string, set []string) (tls.Certificate, bool) {
	if checkPrivate(path) != nil {
		return tls.Certificate{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return tls.Certificate{}, false
	}
	cert, key, err := decodePEM(data)
	if err != nil || cert == nil || key == nil || !sameKey(cert, key) {
		return tls.Certificate{}, false
	}
	now := s.clock()
	if !now.Before(RenewAt(cert)) || !slices.Equal(set, hostsOf(cert)) {
		return tls.Certificate{}, false
	}
	// The default usage that is asked for is that of a server.
	if _, err := cert.Verify(x509.VerifyOptions{Roots: s.ca.Pool(), CurrentTime: now}); err != nil {
		return tls.Certificate{}, false
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, true
}

// issue makes a leaf and keeps it: certificate and key in one file, since two could disagree after a crash.
func (s *Store) issue(path string, set []string) (tls.Certificate, error) {
	// A leaf that must be renewed in the moment it is made would be made over and over.
	if err := s.rootInTime(minRemainder); err != nil {
		return tls.Certificate{}, err
	}
	cert, err := s.ca.Issue(Leaf{Hosts: set, Now: s.clock()})
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := KeyPEM(cert.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := replaceFile(path, append(CertificatePEM(cert), key...), keyMode); err != nil {
		return tls.Certificate{}, &Error{path, err, "the folder must be writable"}
	}
	return cert, nil
}

// hostsOf returns the names in a certificate as canonicalHosts would, so that the two can be compared.
func hostsOf(cert *x509.Certificate) []string {
	hosts := slices.Clone(cert.DNSNames)
	for _, address := range cert.IPAddresses {
		hosts = append(hosts, address.String())
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
