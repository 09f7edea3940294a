package localca

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY" // PKCS #8
)

// CertificatePEM returns the whole chain of a certificate as PEM, leaf first, without the key.
func CertificatePEM(cert tls.Certificate) []byte {
	var out []byte
	for _, der := range cert.Certificate {
		out = append(out, encodeCertificate(der)...)
	}
	return out
}

// KeyPEM returns a private key as PEM (PKCS #8). It fails on keys that live outside this process.
func KeyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})
}

// decodePEM reads a file that holds at most one certificate and at most one key, and nothing else.
// What is not there comes back as nil.
func decodePEM(data []byte) (cert *x509.Certificate, key crypto.Signer, err error) {
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return nil, nil, errors.New("is not PEM, or is cut off")
			}
			return cert, key, nil
		}
		switch {
		case block.Type == pemCertificate && cert == nil:
			if cert, err = x509.ParseCertificate(block.Bytes); err != nil {
				return nil, nil, fmt.Errorf("holds a broken certificate: %w", err)
			}
		case block.Type == pemKey && key == nil:
			if key, err = parseKey(block.Bytes); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, fmt.Errorf("holds a PEM block %q that does not belong there", block.Type)
		}
	}
}

func parseKey(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("holds a broken key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("holds a key of type %T, which cannot sign", parsed)
	}
	return key, nil
}
