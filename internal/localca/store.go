package localca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// RootFile is the name of the root certificate in the folder of a [Store].
	RootFile = "root.pem"

	// rootKeyFile holds the key and, beside it, the certificate: one file can come to be in one step, two
	// cannot. root.pem is a copy for people and trust stores.
	rootKeyFile = "root.key"

	rootNotice   = 180 * 24 * time.Hour
	minRemainder = 24 * time.Hour

	hintNewRoot = "move root.key and root.pem away to make a new root; every client must then trust the new one"
)

// Store is a [CA] in a folder: the root, and a leaf for each set of hosts that was asked for. Make one with
// [Open]. Its methods may be called by several goroutines at once, and several processes may share a folder.
type Store struct {
	dir   string
	clock func() time.Time
	ca    *CA

	mu sync.Mutex // one leaf at a time, so that callers who ask for the same hosts get the same leaf
}

// Open loads the root of a folder, or makes folder and root where there is none. When several processes do
// that at the same moment, all of them end up with the same root. The clock may be nil, which means the
// system's.
//
// A root that is damaged, incomplete, over, or whose key others may read is an error (an [*Error]) and
// stays as it is.
func Open(dir string, clock func() time.Time) (*Store, error) {
	if clock == nil {
		clock = time.Now
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("folder of the local certificate authority: %w", err)
	}
	sweep(dir)
	s := &Store{dir: dir, clock: clock}
	if err := s.makeRoot(); err != nil {
		return nil, fmt.Errorf("local certificate authority: %w", err)
	}
	if err := s.loadRoot(); err != nil {
		return nil, fmt.Errorf("local certificate authority: %w", err)
	}
	return s, nil
}

// Root returns the root certificate. It must not be changed.
func (s *Store) Root() *x509.Certificate { return s.ca.Certificate }

// RootPEM returns the root certificate for trust stores, without its key.
func (s *Store) RootPEM() []byte { return s.ca.PEM() }

// RootPath returns the file that holds what RootPEM returns.
func (s *Store) RootPath() string { return s.path(RootFile) }

// Notice returns one sentence for people when the root ends within 180 days, else "".
func (s *Store) Notice() string {
	end := s.ca.Certificate.NotAfter
	if end.Sub(s.clock()) > rootNotice {
		return ""
	}
	return fmt.Sprintf("the root certificate %q ends on %s: %s", s.RootPath(), end.UTC().Format(time.DateOnly), hintNewRoot)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// makeRoot makes a root where there is none.
func (s *Store) makeRoot() error {
	if exists(s.path(rootKeyFile)) {
		return nil
	}
	// root.key always comes first. So when root.pem is seen, root.key is there, or was taken away.
	if exists(s.path(RootFile)) && !exists(s.path(rootKeyFile)) {
		return &Error{s.path(rootKeyFile), errors.New("is missing, although the root certificate is there"),
			"bring the key back from a backup; or move root.pem away to make a new root, which every client must then trust"}
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	// Trust stores with two roots of the same name are hard to read, and confuse some clients.
	ca, err := New(fmt.Sprintf("Usher local CA %08x", serial.Uint64()>>32), s.clock())
	if err != nil {
		return err
	}
	key, err := KeyPEM(ca.Key)
	if err != nil {
		return err
	}
	err = createFile(s.path(rootKeyFile), append(key, ca.PEM()...), keyMode)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else was faster, and theirs is as good
	}
	return err
}

// loadRoot reads the root and checks it. It writes root.pem where a crash prevented that.
func (s *Store) loadRoot() error {
	keyPath, certPath := s.path(rootKeyFile), s.path(RootFile)
	if err := checkPrivate(keyPath); err != nil {
		return err
	}
	ca, err := readRootKey(keyPath)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(certPath)
	switch {
	case errors.Is(err, fs.ErrNotExist) && ca.Certificate != nil:
		if err := replaceFile(certPath, ca.PEM(), certMode); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := ca.adopt(certPath, data); err != nil {
			return err
		}
	}
	if err := ca.check(keyPath); err != nil {
		return err
	}
	s.ca = ca
	return s.rootInTime(0)
}

func readRootKey(path string) (*CA, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, key, err := decodePEM(data)
	if err == nil && key == nil {
		err = errors.New("holds no key")
	}
	if err != nil {
		return nil, &Error{path, err, "bring it back from a backup, or " + hintNewRoot}
	}
	return &CA{Certificate: cert, Key: key}, nil
}

// adopt compares root.pem with the certificate beside the key, or takes it where there is none there
// (a root that was made elsewhere).
func (ca *CA) adopt(path string, data []byte) error {
	cert, key, err := decodePEM(data)
	switch {
	case err != nil:
	case key != nil:
		err = errors.New("holds a private key, but is a file to hand out")
	case cert == nil:
		err = errors.New("holds no certificate")
	case ca.Certificate != nil && !cert.Equal(ca.Certificate):
		err = errors.New("is not the certificate that root.key was made for")
	}
	if err != nil {
		hint := "bring it back from a backup, or " + hintNewRoot
		if ca.Certificate != nil {
			hint = "remove it: it will be written again from root.key"
		}
		return &Error{path, err, hint}
	}
	ca.Certificate = cert
	return nil
}

// check makes sure that what was read can work as a root at all.
func (ca *CA) check(path string) error {
	var err error
	switch cert := ca.Certificate; {
	case !sameKey(cert, ca.Key):
		err = errors.New("does not belong to the root certificate")
	case !cert.IsCA || !cert.BasicConstraintsValid:
		err = errors.New("comes with a certificate that is no certificate authority")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		err = errors.New("comes with a certificate that must not sign others")
	default:
		err = cert.CheckSignatureFrom(cert)
	}
	if err != nil {
		return &Error{path, err, "bring the root back from a backup, or " + hintNewRoot}
	}
	return nil
}

// rootInTime checks that the root is valid now and for a while.
func (s *Store) rootInTime(remainder time.Duration) error {
	now, root := s.clock(), s.ca.Certificate
	switch {
	case now.Before(root.NotBefore):
		return &Error{s.RootPath(), fmt.Errorf("is valid only from %s on, and now it is %s",
			root.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)), "set the clock"}
	case now.After(root.NotAfter):
		return &Error{s.RootPath(), fmt.Errorf("ended on %s", root.NotAfter.UTC().Format(time.RFC3339)), hintNewRoot}
	case now.Add(remainder).After(root.NotAfter):
		return &Error{s.RootPath(), fmt.Errorf("ends on %s, too soon to issue from", root.NotAfter.UTC().Format(time.RFC3339)), hintNewRoot}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
