package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"time"
)

// maxCommonName is the upper bound of RFC 5280 appendix A (ub-common-name).
const maxCommonName = 64

// Leaf says what a certificate is to be issued for.
type Leaf struct {
	// Hosts become the subject alternative names: DNS names, wildcards for one label ("*.example.com"),
	// IPv4 and IPv6 literals (the latter with or without brackets). Neither ports nor "*" alone.
	// A server's certificate needs at least one.
	Hosts []string

	// Client makes a certificate for client authentication; zero makes one for a server.
	Client bool

	// CommonName names a client. For a server it is decoration; empty means the first host.
	CommonName string

	// NotBefore is the start of the validity; zero means an hour before Now.
	NotBefore time.Time

	// NotAfter is its end; zero means [LeafLifetime] after Now, or the end of the root if that is earlier.
	NotAfter time.Time

	// Now is the time of issue; zero means the time of the system's clock.
	Now time.Time

	// Key is the key to certify; nil means a new one, ECDSA P-256.
	Key crypto.Signer
}

// Issue signs a leaf. The result has its Leaf field set, and its chain is the leaf alone: a root that a
// client must have anyway is not sent.
func (ca *CA) Issue(leaf Leaf) (tls.Certificate, error) {
	if ca == nil || ca.Certificate == nil || ca.Key == nil {
		return tls.Certificate{}, errors.New("a certificate authority without root and key issues nothing")
	}
	template, err := ca.template(leaf)
	if err != nil {
		return tls.Certificate{}, err
	}
	key := leaf.Key
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return tls.Certificate{}, fmt.Errorf("make the key of a leaf: %w", err)
		}
	}
	if _, ok := key.Public().(*rsa.PublicKey); ok && !leaf.Client {
		// TLS 1.2 suites with RSA key exchange need it (RFC 5246 section 7.4.2).
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign a leaf: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read back a leaf: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, nil
}

func (ca *CA) template(leaf Leaf) (*x509.Certificate, error) {
	names, addresses, err := splitHosts(leaf.Hosts)
	if err != nil {
		return nil, err
	}
	if !leaf.Client && len(leaf.Hosts) == 0 {
		return nil, errors.New("a server's certificate needs at least one host")
	}
	if leaf.Client && leaf.CommonName == "" && len(leaf.Hosts) == 0 {
		return nil, errors.New("a client's certificate needs a common name or a host")
	}
	name, err := commonName(leaf.CommonName, names, addresses)
	if err != nil {
		return nil, err
	}
	from, until, err := ca.validity(leaf)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	usage := x509.ExtKeyUsageServerAuth
	if leaf.Client {
		usage = x509.ExtKeyUsageClientAuth
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              names,
		IPAddresses:           addresses,
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true, // says aloud that it is no CA
	}, nil
}

// validity works out the period. An end that nobody asked for never outlives the root: such a leaf would
// look fine and fail.
func (ca *CA) validity(leaf Leaf) (from, until time.Time, err error) {
	now := leaf.Now
	if now.IsZero() {
		now = time.Now()
	}
	if from = leaf.NotBefore; from.IsZero() {
		from = now.Add(-backdate)
	}
	if until = leaf.NotAfter; until.IsZero() {
		until = now.Add(LeafLifetime)
		if end := ca.Certificate.NotAfter; end.Before(until) {
			until = end
		}
	}
	if !from.Before(until) {
		return from, until, fmt.Errorf("a certificate cannot end (%s) before it begins (%s)",
			until.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))
	}
	return from, until, nil
}

// commonName picks a name for people to see. Nothing is verified against it.
func commonName(asked string, names []string, addresses []net.IP) (string, error) {
	switch {
	case len(asked) > maxCommonName:
		return "", fmt.Errorf("common name %q has more than %d bytes", asked, maxCommonName)
	case asked != "":
		return asked, nil
	case len(names) > 0 && len(names[0]) <= maxCommonName:
		return names[0], nil
	case len(addresses) > 0:
		return addresses[0].String(), nil
	}
	return "", nil // the alternative names are then marked critical, as RFC 5280 section 4.2.1.6 asks
}
