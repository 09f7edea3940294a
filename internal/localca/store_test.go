package localca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hand is a clock that tests turn by hand.
type hand struct{ now time.Time }

func (h *hand) read() time.Time { return h.now }

func open(t *testing.T, dir string, clock *hand) *Store {
	t.Helper()
	s, err := Open(dir, clock.read)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, s *Store, hosts ...string) tls.Certificate {
	t.Helper()
	cert, err := s.Certificate(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestOpenMakesAndKeepsARoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "ca")
	clock := &hand{start}
	first := open(t, dir, clock)
	for name, want := range map[string]os.FileMode{".": 0o700, "root.key": 0o600, "root.pem": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
	onDisk, err := os.ReadFile(first.RootPath())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(onDisk, first.RootPEM()) || bytes.Contains(onDisk, []byte("PRIVATE")) {
		t.Errorf("root.pem is not the exported root: %s", onDisk)
	}
	clock.now = start.AddDate(9, 0, 0)
	if second := open(t, dir, clock); !second.Root().Equal(first.Root()) {
		t.Error("a second Open made another root")
	}
	noTemps(t, dir)
}

func noTemps(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
}

func TestRootsHaveDifferentNames(t *testing.T) {
	clock := &hand{start}
	a, b := open(t, t.TempDir(), clock).Root(), open(t, t.TempDir(), clock).Root()
	if a.Subject.CommonName == b.Subject.CommonName || !strings.HasPrefix(a.Subject.CommonName, "Usher local CA ") {
		t.Errorf("names %q and %q", a.Subject.CommonName, b.Subject.CommonName)
	}
}

// TestCrashBetweenKeyAndCertificate: the root key is there and root.pem is not yet.
func TestCrashBetweenKeyAndCertificate(t *testing.T) {
	dir, clock := t.TempDir(), &hand{start}
	first := open(t, dir, clock)
	if err := os.Remove(first.RootPath()); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, clock)
	if !second.Root().Equal(first.Root()) {
		t.Error("another root was made")
	}
	if data, err := os.ReadFile(first.RootPath()); err != nil || !bytes.Equal(data, first.RootPEM()) {
		t.Errorf("root.pem was not written again: %v", err)
	}
}

func TestTemporaryFilesOfACrash(t *testing.T) {
	dir, clock := t.TempDir(), &hand{start}
	old, young := filepath.Join(dir, tempPrefix+"old"), filepath.Join(dir, tempPrefix+"young")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, []byte("-----BEGIN PRI"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * tempAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	get(t, open(t, dir, clock), "a.example")
	if exists(old) {
		t.Error("an old temporary file is still there")
	}
	if !exists(young) {
		t.Error("a temporary file that may be in use was removed")
	}
}

// TestDamagedRoot: a clear error that names the file and a way out, and nothing on disk is touched.
func TestDamagedRoot(t *testing.T) {
	other := open(t, t.TempDir(), &hand{start})
	otherKey, err := os.ReadFile(other.path(rootKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(data []byte) []byte { return data[:len(data)-30] }
	with := func(data []byte) func([]byte) []byte { return func([]byte) []byte { return data } }
	leafOfOther, err := other.ca.Issue(Leaf{Hosts: []string{"a"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := KeyPEM(leafOfOther.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		damage func(*testing.T, string)
		file   string
		want   string
	}{
		{"key cut off", rewrite(rootKeyFile, cut), rootKeyFile, "cut off"},
		{"key empty", rewrite(rootKeyFile, with(nil)), rootKeyFile, "holds no key"},
		{"key garbage", rewrite(rootKeyFile, with([]byte("hello"))), rootKeyFile, "not PEM"},
		{"key of no kind", rewrite(rootKeyFile, with([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))), rootKeyFile, "broken key"},
		{"certificate cut off", rewrite(RootFile, cut), RootFile, "hint: remove it"},
		{"certificate empty", rewrite(RootFile, with(nil)), RootFile, "holds no certificate"},
		{"certificate of another", rewrite(RootFile, with(other.RootPEM())), RootFile, "not the certificate"},
		{"certificate with key", rewrite(RootFile, with(otherKey)), RootFile, "holds a private key"},
		{"root of another", rewrite(rootKeyFile, with(otherKey)), RootFile, "not the certificate"},
		{"not its key", rewrite(rootKeyFile, with(append(leafKey, other.RootPEM()...))), RootFile, "not the certificate"},
		{"key missing", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, rootKeyFile)); err != nil {
				t.Fatal(err)
			}
		}, rootKeyFile, "is missing"},
		{"key readable by others", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, rootKeyFile), 0o640); err != nil {
				t.Fatal(err)
			}
		}, rootKeyFile, "chmod 600"},
		{"a leaf as root", func(t *testing.T, dir string) {
			pem := CertificatePEM(leafOfOther)
			rewrite(RootFile, with(pem))(t, dir)
			rewrite(rootKeyFile, with(append(bytes.Clone(leafKey), pem...)))(t, dir)
		}, rootKeyFile, "no certificate authority"},
		{"root with a wrong key", func(t *testing.T, dir string) {
			rewrite(RootFile, with(other.RootPEM()))(t, dir)
			rewrite(rootKeyFile, with(append(bytes.Clone(leafKey), other.RootPEM()...)))(t, dir)
		}, rootKeyFile, "does not belong"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir, &hand{start})
			test.damage(t, dir)
			before := listing(t, dir)
			_, err := Open(dir, (&hand{start}).read)
			var fault *Error
			if !errors.As(err, &fault) {
				t.Fatalf("error %v, want an *Error", err)
			}
			if want := filepath.Join(dir, test.file); fault.Path != want {
				t.Errorf("names %q, want %q", fault.Path, want)
			}
			if text := err.Error(); !strings.Contains(text, test.want) || !strings.Contains(text, "\n    hint: ") {
				t.Errorf("error %q, want %q and a hint", text, test.want)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the folder was changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(entry.Name() + "\n" + string(data) + "\n")
	}
	return out.String()
}

// TestRootMadeElsewhere: root.key holds the key alone, as other tools write it.
func TestRootMadeElsewhere(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t)
	key, err := KeyPEM(ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, rootKeyFile), key, 0o600), os.WriteFile(filepath.Join(dir, RootFile), ca.PEM(), 0o644)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, &hand{start})
	if !s.Root().Equal(ca.Certificate) {
		t.Error("another root was used")
	}
	cert := get(t, s, "a.example")
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: "a.example", CurrentTime: start}); err != nil {
		t.Error(err)
	}
}

func TestRootInTime(t *testing.T) {
	dir, clock := t.TempDir(), &hand{start}
	s := open(t, dir, clock)
	if notice := s.Notice(); notice != "" {
		t.Errorf("notice about a new root: %s", notice)
	}
	end := s.Root().NotAfter
	clock.now = end.AddDate(0, 0, -100)
	if notice := open(t, dir, clock).Notice(); !strings.Contains(notice, "ends on 2036-03-01") {
		t.Errorf("notice %q, want the end of the root", notice)
	}
	kept := get(t, s, "a.example")

	clock.now = end.Add(-time.Hour) // too late for new leaves
	if _, err := s.Certificate([]string{"b.example"}); err == nil || !strings.Contains(err.Error(), "too soon") {
		t.Errorf("error %v, want a refusal to issue", err)
	}
	if kept.Leaf.NotAfter.After(end) {
		t.Error("a leaf outlives its root")
	}
	clock.now = end.Add(time.Second)
	if _, err := Open(dir, clock.read); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("error %v, want the end of the root", err)
	}
	if _, err := s.Certificate([]string{"a.example"}); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("error %v, want the end of the root", err)
	}
	clock.now = start.AddDate(-1, 0, 0)
	if _, err := Open(dir, clock.read); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("error %v, want one about the clock", err)
	}
}

func TestFolderIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

func TestManyOpensOneRoot(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		const n = 8
		stores, errs := make([]*Store, n), make([]error, n)
		gate := make(chan struct{})
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				<-gate
				stores[i], errs[i] = Open(dir, func() time.Time { return start })
			})
		}
		close(gate)
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for _, s := range stores[1:] {
			if !s.Root().Equal(stores[0].Root()) {
				t.Fatal("two Opens of one folder have different roots")
			}
		}
		noTemps(t, dir)
	}
}
