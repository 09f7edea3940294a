package localca

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestCertificateIsKept(t *testing.T) {
	dir, clock := t.TempDir(), &hand{start}
	s := open(t, dir, clock)
	first := get(t, s, "b.example", "a.example", "[::1]")
	for _, hosts := range [][]string{
		{"a.example", "b.example", "::1"},
		{"A.example.", "::1", "b.example", "b.example"},
	} {
		if again := get(t, s, hosts...); !again.Leaf.Equal(first.Leaf) {
			t.Errorf("%q got another certificate", hosts)
		}
	}
	again := get(t, open(t, dir, clock), "a.example", "b.example", "::1")
	if !again.Leaf.Equal(first.Leaf) {
		t.Error("after a restart there is another certificate")
	}
	if again.Leaf == nil || len(again.Certificate) != 1 {
		t.Error("a kept certificate lacks its Leaf, or has a chain")
	}
	if fewer := get(t, s, "a.example", "b.example"); fewer.Leaf.Equal(first.Leaf) || len(fewer.Leaf.IPAddresses) > 0 {
		t.Error("another set of hosts got the same certificate")
	}
	info, err := os.Stat(leafPath(t, s, "a.example", "b.example"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a leaf has mode %04o", info.Mode().Perm())
	}
	if _, err := s.Certificate(nil); err == nil {
		t.Error("a certificate for no host")
	}
	if _, err := s.Certificate([]string{"a.example:443"}); err == nil {
		t.Error("a certificate for a host with a port")
	}
	noTemps(t, dir)
}

func leafPath(t *testing.T, s *Store, hosts ...string) string {
	t.Helper()
	set, err := canonicalHosts(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return s.path(leafFile(set))
}

func mustSigner(t *testing.T, cert tls.Certificate) crypto.Signer {
	t.Helper()
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("key of type %T", cert.PrivateKey)
	}
	return key
}

func TestRenewal(t *testing.T) {
	clock := &hand{start}
	s := open(t, t.TempDir(), clock)
	first := get(t, s, "a.example")
	due := RenewAt(first.Leaf)
	if day := due.Sub(start) / (24 * time.Hour); day < 59 || day > 60 {
		t.Fatalf("due after %d days, want two thirds of 90", day)
	}
	clock.now = due.Add(-time.Second)
	if !get(t, s, "a.example").Leaf.Equal(first.Leaf) {
		t.Error("renewed before it was due")
	}
	clock.now = due
	second := get(t, s, "a.example")
	if second.Leaf.Equal(first.Leaf) {
		t.Fatal("not renewed when it was due")
	}
	if !second.Leaf.NotAfter.Equal(due.Add(LeafLifetime)) || !RenewAt(second.Leaf).After(clock.now) {
		t.Errorf("the new one ends %v and is due %v", second.Leaf.NotAfter, RenewAt(second.Leaf))
	}
	if sameKey(first.Leaf, mustSigner(t, second)) {
		t.Error("the new certificate has the old key")
	}
	clock.now = start // the clock was set back: the kept leaf is not valid yet
	if get(t, s, "a.example").Leaf.Equal(second.Leaf) {
		t.Error("a leaf from the future is served")
	}
}

// TestRenewalNearTheEndOfTheRoot: a leaf that is new is never due at once, or a timer would spin.
func TestRenewalNearTheEndOfTheRoot(t *testing.T) {
	clock := &hand{start}
	s := open(t, t.TempDir(), clock)
	clock.now = s.Root().NotAfter.Add(-minRemainder)
	cert := get(t, s, "a.example")
	if due := RenewAt(cert.Leaf); due.Sub(clock.now) < time.Hour {
		t.Errorf("due %v after it was made", due.Sub(clock.now))
	}
}

func TestDamagedLeafIsIssuedAgain(t *testing.T) {
	clock := &hand{start}
	foreign := open(t, t.TempDir(), clock)
	write := func(data func(t *testing.T, s *Store, path string, old []byte) []byte) func(*testing.T, *Store, string) {
		return func(t *testing.T, s *Store, path string) {
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data(t, s, path, old), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	bundle := func(t *testing.T, cert, key tls.Certificate) []byte {
		pem, err := KeyPEM(key.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return append(CertificatePEM(cert), pem...)
	}
	issue := func(t *testing.T, ca *CA, leaf Leaf) tls.Certificate {
		leaf.Now = start
		cert, err := ca.Issue(leaf)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	mine := Leaf{Hosts: []string{"a.example"}}
	tests := map[string]func(*testing.T, *Store, string){
		"gone":    func(t *testing.T, s *Store, path string) { os.Remove(path) },
		"empty":   write(func(*testing.T, *Store, string, []byte) []byte { return nil }),
		"cut off": write(func(_ *testing.T, _ *Store, _ string, old []byte) []byte { return old[:len(old)/2] }),
		"no key": write(func(t *testing.T, s *Store, _ string, old []byte) []byte {
			return old[:bytes.Index(old, []byte("-----BEGIN PRIVATE"))]
		}),
		"another key": write(func(t *testing.T, s *Store, _ string, _ []byte) []byte {
			return bundle(t, issue(t, s.ca, mine), issue(t, s.ca, mine))
		}),
		"another root": write(func(t *testing.T, s *Store, _ string, _ []byte) []byte {
			cert := issue(t, foreign.ca, mine)
			return bundle(t, cert, cert)
		}),
		"other hosts": write(func(t *testing.T, s *Store, _ string, _ []byte) []byte {
			cert := issue(t, s.ca, Leaf{Hosts: []string{"a.example", "b.example"}})
			return bundle(t, cert, cert)
		}),
		"of a client": write(func(t *testing.T, s *Store, _ string, _ []byte) []byte {
			cert := issue(t, s.ca, Leaf{Hosts: []string{"a.example"}, Client: true})
			return bundle(t, cert, cert)
		}),
		"readable by others": func(t *testing.T, _ *Store, path string) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), clock)
			old := get(t, s, "a.example")
			path := leafPath(t, s, "a.example")
			damage(t, s, path)
			fresh := get(t, s, "a.example")
			if fresh.Leaf.Equal(old.Leaf) {
				t.Fatal("not issued again")
			}
			if !slices.Equal(fresh.Leaf.DNSNames, []string{"a.example"}) || !sameKey(fresh.Leaf, mustSigner(t, fresh)) {
				t.Errorf("new leaf for %q", fresh.Leaf.DNSNames)
			}
			if _, err := fresh.Leaf.Verify(x509.VerifyOptions{Roots: s.ca.Pool(), DNSName: "a.example", CurrentTime: start}); err != nil {
				t.Error(err)
			}
			if !get(t, s, "a.example").Leaf.Equal(fresh.Leaf) {
				t.Error("the new leaf was not kept")
			}
		})
	}
}

func TestLeafCannotBeKept(t *testing.T) {
	clock := &hand{start}
	s := open(t, t.TempDir(), clock)
	// A folder in the place of the file: even root cannot write there.
	if err := os.MkdirAll(filepath.Join(leafPath(t, s, "a.example"), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Certificate([]string{"a.example"}); err == nil {
		t.Error("a certificate that could not be kept was handed out")
	}
	noTemps(t, s.dir)
}

func TestManyCallersOneLeaf(t *testing.T) {
	s := open(t, t.TempDir(), &hand{start})
	const n = 16
	certs, errs := make([]tls.Certificate, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { certs[i], errs[i] = s.Certificate([]string{"a.example", "b.example"}) })
	}
	all.Wait()
	for i := range n {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if !certs[i].Leaf.Equal(certs[0].Leaf) {
			t.Fatal("callers at the same time got different certificates")
		}
	}
}
