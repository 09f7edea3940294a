package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/usher-http/usher/authority"
)

// materials are the files that a configuration names. Many sites may share a certificate: each file is read once.
type materials struct {
	pairs map[[2]string]*pair
	cas   map[string]*caSet
}

// A pair is a certificate with its key, or what is wrong with them.
type pair struct {
	cert  tls.Certificate
	names *authority.Names
	fault *fault
}

// A caSet is the certificates of one PEM file, or what is wrong with it.
type caSet struct {
	certs []*x509.Certificate
	fault *fault
}

// A fault is a mistake in a file that the configuration names.
type fault struct {
	key           string // the key that named the file
	message, hint string
}

// pair loads a certificate and its key. The result is the same for the same files.
func (k *checker) pair(certFile, keyFile string) *pair {
	id := [2]string{k.resolve(certFile), k.resolve(keyFile)}
	if known := k.materials.pairs[id]; known != nil {
		return known
	}
	p := new(pair)
	p.fault = k.loadPair(p, certFile, keyFile)
	if k.materials.pairs == nil {
		k.materials.pairs = map[[2]string]*pair{}
	}
	k.materials.pairs[id] = p
	return p
}

func (k *checker) loadPair(p *pair, certFile, keyFile string) *fault {
	certPEM, bad := k.read("certificate", certFile)
	if bad != nil {
		return bad
	}
	if bad := checkCertificatePEM(certFile, certPEM); bad != nil {
		return bad
	}
	keyPEM, bad := k.read("key", keyFile)
	if bad != nil {
		return bad
	}
	if bad := checkKeyPEM(keyFile, keyPEM); bad != nil {
		return bad
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return pairFault(certFile, keyFile, err)
	}
	p.cert, p.names = cert, namesOf(cert.Leaf)
	return nil
}

// read reads a file that a key names.
func (k *checker) read(key, path string) ([]byte, *fault) {
	data, err := readFile(k.resolve(path), maxMaterial)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault{key, fmt.Sprintf("%s: there is no file %q", key, path), k.where(path)}
	}
	if err != nil {
		return nil, &fault{key, fmt.Sprintf("%s: cannot read %q: %s", key, path, err), ""}
	}
	return data, nil
}

func checkCertificatePEM(file string, data []byte) *fault {
	certs, others, err := parsePEM(data)
	switch {
	case err != nil:
		return &fault{"certificate", fmt.Sprintf("certificate %q is broken: %s", file, err), ""}
	case len(certs) > 0:
		return nil
	case hasKey(others):
		return &fault{"certificate", fmt.Sprintf("certificate %q holds a private key, not a certificate", file), "are certificate and key the wrong way round?"}
	}
	return &fault{"certificate", fmt.Sprintf("certificate %q holds no certificate", file), "it must be PEM, with a line -----BEGIN CERTIFICATE-----"}
}

func checkKeyPEM(file string, data []byte) *fault {
	_, others, _ := parsePEM(data)
	for _, b := range others {
		if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
			return &fault{"key", fmt.Sprintf("key %q is encrypted", file), "take the passphrase off with: openssl pkey -in KEY -out KEY.plain"}
		}
	}
	if !hasKey(others) {
		return &fault{"key", fmt.Sprintf("key %q holds no private key", file), "it must be PEM, with a line -----BEGIN PRIVATE KEY-----"}
	}
	return nil
}

func hasKey(blocks []*pem.Block) bool {
	for _, b := range blocks {
		if b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY") {
			return true
		}
	}
	return false
}

// pairFault words what crypto/tls says of a certificate and a key that are each readable.
func pairFault(certFile, keyFile string, err error) *fault {
	reason := strings.TrimPrefix(err.Error(), "tls: ")
	if strings.Contains(reason, "does not match") {
		return &fault{"key", fmt.Sprintf("key %q does not belong to certificate %q", keyFile, certFile),
			"the certificate that the key belongs to comes first in its file, before the intermediate certificates"}
	}
	if strings.Contains(reason, "private key") {
		return &fault{"key", fmt.Sprintf("key %q is broken: %s", keyFile, reason), ""}
	}
	return &fault{"certificate", fmt.Sprintf("certificate %q is broken: %s", certFile, reason), ""}
}

// parsePEM returns the certificates and the other blocks of a PEM file.
func parsePEM(data []byte) (certs []*x509.Certificate, others []*pem.Block, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			others = append(others, block)
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, errors.New(strings.TrimPrefix(err.Error(), "x509: "))
		}
		certs = append(certs, cert)
	}
	return certs, others, nil
}

// namesOf returns what a certificate is valid for.
func namesOf(leaf *x509.Certificate) *authority.Names {
	ips := make([]netip.Addr, 0, len(leaf.IPAddresses))
	for _, ip := range leaf.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			ips = append(ips, a.Unmap())
		}
	}
	return authority.NewNames(leaf.DNSNames, ips)
}

// authorities loads a PEM file with certificate authorities, each once. key is the key that names the file.
func (k *checker) authorities(key, path string) *caSet {
	full := k.resolve(path)
	set := k.materials.cas[full]
	if set == nil {
		set = new(caSet)
		set.certs, set.fault = k.loadAuthorities(key, path)
		if k.materials.cas == nil {
			k.materials.cas = map[string]*caSet{}
		}
		k.materials.cas[full] = set
	}
	return set
}

func (k *checker) loadAuthorities(key, path string) ([]*x509.Certificate, *fault) {
	data, bad := k.read(key, path)
	if bad != nil {
		return nil, bad
	}
	all, _, err := parsePEM(data)
	if err != nil {
		return nil, &fault{key, fmt.Sprintf("%s %q is broken: %s", key, path, err), ""}
	}
	if len(all) == 0 {
		return nil, &fault{key, fmt.Sprintf("%s %q holds no certificate", key, path), "it must be PEM, with a line -----BEGIN CERTIFICATE-----"}
	}
	var certs []*x509.Certificate
	for _, c := range all {
		if word, hint := k.lapsed(c); word != "" {
			return nil, &fault{key, fmt.Sprintf("%s %q: the certificate of %q %s", key, path, c.Subject, word), hint}
		}
		if !contains(certs, c) {
			certs = append(certs, c)
		}
	}
	return certs, nil
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, other := range list {
		if other.Equal(c) {
			return true
		}
	}
	return false
}

// lapsed says in words that a certificate is not valid now; empty: it is.
func (k *checker) lapsed(c *x509.Certificate) (word, hint string) {
	const day = "2006-01-02 15:04 MST"
	switch now := k.now(); {
	case now.Before(c.NotBefore):
		return "is not valid before " + c.NotBefore.UTC().Format(day), "the clock of this machine says " + now.UTC().Format(day)
	case now.After(c.NotAfter):
		return "ended on " + c.NotAfter.UTC().Format(day), "renew it"
	}
	return "", ""
}
