package testca_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

func verify(ca *testca.CA, cert tls.Certificate, host string, usage x509.ExtKeyUsage) error {
	_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestServer(t *testing.T) {
	ca, other := testca.New(t), testca.New(t)
	ec, rs := ca.Server(t, "a.example", "::1"), ca.ServerRSA(t, "a.example")
	if _, ok := ec.PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("Server has a key of type %T", ec.PrivateKey)
	}
	if key, ok := rs.PrivateKey.(*rsa.PrivateKey); !ok || key.N.BitLen() != 2048 || rs.PrivateKey != ca.ServerRSA(t, "b.example").PrivateKey {
		t.Errorf("ServerRSA has a key of type %T, or not the same one twice", rs.PrivateKey)
	}
	for _, cert := range []tls.Certificate{ec, rs} {
		if err := verify(ca, cert, "a.example", x509.ExtKeyUsageServerAuth); err != nil {
			t.Error(err)
		}
		if verify(other, cert, "a.example", x509.ExtKeyUsageServerAuth) == nil {
			t.Error("another authority vouches for it")
		}
	}
	if other.Root().Subject.String() == ca.Root().Subject.String() {
		t.Error("two authorities share a name")
	}
}

func TestClientAndExpired(t *testing.T) {
	ca := testca.New(t)
	if err := verify(ca, ca.Client(t, "ann"), "", x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	err := verify(ca, ca.Expired(t, "a.example"), "a.example", x509.ExtKeyUsageServerAuth)
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("error %v, want an expired certificate", err)
	}
}

func TestWrite(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	load := func(certFile, keyFile string) tls.Certificate {
		t.Helper()
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	if err := verify(ca, load(ca.WriteServer(t, dir, "shop", "shop.example")), "shop.example", x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	client := load(ca.WriteClient(t, dir, "ann", "Ann"))
	if err := verify(ca, client, "", x509.ExtKeyUsageClientAuth); err != nil || client.Leaf.Subject.CommonName != "Ann" {
		t.Errorf("client %q: %v", client.Leaf.Subject.CommonName, err)
	}
	root, err := os.ReadFile(ca.WriteRoot(t, dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) || !pool.Equal(ca.Pool()) {
		t.Error("the written root is not the root")
	}
}

func TestBubbleClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := testca.New(t).Server(t, "a.example")
		if now := time.Now(); cert.Leaf.NotBefore.After(now) || cert.Leaf.NotAfter.Before(now) {
			t.Errorf("valid %v to %v, and now it is %v", cert.Leaf.NotBefore, cert.Leaf.NotAfter, now)
		}
	})
}
