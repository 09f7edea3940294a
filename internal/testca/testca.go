// Package testca makes throw-away certificates for tests: a thin layer over internal/localca whose calls
// end the test when they fail. Everything lives in memory unless a Write method is called.
package testca

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/localca"
)

// CA is a certificate authority for one test. Make it with [New]. It may be used by several goroutines at
// once, as far as the testing.TB that is passed allows.
type CA struct {
	ca  *localca.CA
	now time.Time
}

var made atomic.Int64

// New makes an authority whose root nobody else knows. Its name differs from that of every other one in
// this process. Validity counts from time.Now of the caller: in a synctest bubble from the bubble's clock.
func New(t testing.TB) *CA {
	t.Helper()
	now := time.Now()
	ca, err := localca.New(fmt.Sprintf("usher test CA %d", made.Add(1)), now)
	if err != nil {
		t.Fatal(err)
	}
	return &CA{ca: ca, now: now}
}

// Root returns the root certificate.
func (c *CA) Root() *x509.Certificate { return c.ca.Certificate }

// Pool returns a new pool with the root alone.
func (c *CA) Pool() *x509.CertPool { return c.ca.Pool() }

// Server returns a certificate with an ECDSA key for these hosts: names, one-label wildcards, IP literals.
func (c *CA) Server(t testing.TB, hosts ...string) tls.Certificate {
	t.Helper()
	return c.Issue(t, localca.Leaf{Hosts: hosts})
}

// ServerRSA returns a certificate with an RSA key of 2048 bits. All of a process share the key, because it
// is slow to make.
func (c *CA) ServerRSA(t testing.TB, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return c.Issue(t, localca.Leaf{Hosts: hosts, Key: key})
}

// Client returns a certificate for client authentication with this common name.
func (c *CA) Client(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return c.Issue(t, localca.Leaf{Client: true, CommonName: name})
}

// Expired returns a server's certificate that ended a day ago.
func (c *CA) Expired(t testing.TB, hosts ...string) tls.Certificate {
	t.Helper()
	end := c.now.Add(-24 * time.Hour)
	return c.Issue(t, localca.Leaf{Hosts: hosts, NotBefore: end.Add(-24 * time.Hour), NotAfter: end})
}

// Issue returns whatever leaf is asked for. Now is set to the time of [New] when it is zero.
func (c *CA) Issue(t testing.TB, leaf localca.Leaf) tls.Certificate {
	t.Helper()
	if leaf.Now.IsZero() {
		leaf.Now = c.now
	}
	cert, err := c.ca.Issue(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// WriteServer writes a certificate like [CA.Server]'s to NAME.pem and its key to NAME.key in dir.
func (c *CA) WriteServer(t testing.TB, dir, name string, hosts ...string) (certFile, keyFile string) {
	t.Helper()
	return Write(t, dir, name, c.Server(t, hosts...))
}

// WriteClient writes a certificate like [CA.Client]'s to NAME.pem and its key to NAME.key in dir.
func (c *CA) WriteClient(t testing.TB, dir, name, commonName string) (certFile, keyFile string) {
	t.Helper()
	return Write(t, dir, name, c.Client(t, commonName))
}

// WriteRoot writes the root certificate to NAME.pem in dir.
func (c *CA) WriteRoot(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".pem")
	if err := os.WriteFile(path, c.ca.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Write writes any certificate to NAME.pem and its key to NAME.key in dir.
func Write(t testing.TB, dir, name string, cert tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := localca.KeyPEM(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if err := os.WriteFile(certFile, localca.CertificatePEM(cert), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
