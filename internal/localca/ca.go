// Package localca is a certificate authority of one's own, for machines that no public authority can
// reach: it stands behind `issuer: local` of the gateway and behind the demo.
//
// [New] and [CA.Issue] work in memory alone. [Open] keeps a root and its leaves in a folder.
//
// Whoever has the root's key can pose as any site towards every client that trusts the root. So the key
// never leaves its file, the root cannot make further authorities (path length 0), and no root is ever
// replaced without being asked.
package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	// LeafLifetime is how long a leaf is valid, unless asked otherwise.
	LeafLifetime = 90 * 24 * time.Hour

	rootYears = 10

	// backdate moves the start of each certificate into the past: clocks of clients are not exact.
	backdate = time.Hour
)

// CA is a root certificate and the key that belongs to it. Make one with [New]; the zero value issues
// nothing. It may be used by several goroutines at once as long as nobody changes its fields.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// New makes a root in memory: ECDSA P-256, valid for ten years from now, path length 0 (RFC 5280 section
// 4.2.1.9). The name is what people see in their trust stores and must not be empty.
func New(name string, now time.Time) (*CA, error) {
	if name == "" {
		return nil, errors.New("a certificate authority needs a name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the root: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // leaves only: no authority under this one
	}
	// The subject key identifier is worked out by CreateCertificate, as for every CA.
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the root certificate: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the root certificate: %w", err)
	}
	return &CA{Certificate: root, Key: key}, nil
}

// PEM returns the root certificate, without the key, as clients want it for their trust stores.
func (ca *CA) PEM() []byte { return encodeCertificate(ca.Certificate.Raw) }

// Pool returns a new pool that holds the root alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool
}

// newSerial returns 128 random bits: nobody can guess the next serial, and none comes twice.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return serial, nil
}

// sameKey tells whether the certificate was made for this key.
func sameKey(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}
