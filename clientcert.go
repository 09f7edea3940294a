package usher

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/usher-http/usher/authority"
)

// The fields in which a TLS terminator passes a client's certificate on (RFC 9440). From anybody but a trusted gateway
// they are a lie, and are removed.
const (
	clientCertField      = "Client-Cert"
	clientCertChainField = "Client-Cert-Chain"
)

// The spellings with underscores, as net/http has them. CGI and its kin make one variable of them and of the proper ones (RFC 3875
// section 4.1.18), and gateways that remove the proper ones may let these pass. Nobody needs them.
var clientCertMisspelt = [...]string{"Client_cert", "Client_cert-Chain", "Client_cert_chain", "Client-Cert_chain"}

// A longer chain than this is no chain that anybody uses.
const maxForwardedChain = 16

// forwardedClientCert returns the check of question 6 for a trusted gateway's request: the chain is verified here,
// against the site's own CA set. nil: the request has no such fields.
func forwardedClientCert(h header) func(*authority.Site) bool {
	leaf := h.Values(clientCertField)
	if len(leaf) == 0 {
		return nil
	}
	chain := h.Values(clientCertChainField)
	return func(s *authority.Site) bool {
		in := siteOf(s)
		return in.clientCAs != nil && verifyForwarded(leaf, chain, in.clientCAs, time.Now())
	}
}

func verifyForwarded(leaf, chain []string, roots *x509.CertPool, now time.Time) bool {
	if len(leaf) != 1 {
		return false
	}
	cert := parseForwarded(leaf[0])
	if cert == nil {
		return false
	}
	others := x509.NewCertPool()
	n := 0
	for _, line := range chain {
		for item := range strings.SplitSeq(line, ",") {
			c := parseForwarded(item)
			if n++; c == nil || n > maxForwardedChain {
				return false
			}
			others.AddCert(c)
		}
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: others,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// parseForwarded reads one certificate: a structured-field byte sequence (RFC 8941 section 3.3.5) of its DER.
func parseForwarded(item string) *x509.Certificate {
	item = strings.Trim(item, " \t")
	if len(item) < 2 || item[0] != ':' || item[len(item)-1] != ':' {
		return nil
	}
	der, err := base64.StdEncoding.Strict().DecodeString(item[1 : len(item)-1])
	if err != nil {
		return nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return cert
}
