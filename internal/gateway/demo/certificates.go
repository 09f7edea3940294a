package demo

import (
	"crypto/tls"
	"os"
	"time"

	"github.com/usher-http/usher/internal/localca"
)

// certificates makes the authorities in memory and writes what the configuration names. The keys of the authorities are
// never written.
func (d *Demo) certificates() (err error) {
	now := time.Now()
	if d.roots, err = localca.New("Usher demo", now); err != nil {
		return err
	}
	if d.clients, err = localca.New("Usher demo staff", now); err != nil {
		return err
	}
	for name, ca := range map[string]*localca.CA{"ca.pem": d.roots, "client-ca.pem": d.clients} {
		if err := os.WriteFile(d.Path(name), ca.PEM(), 0o644); err != nil {
			return err
		}
	}
	end := now.Add(24 * time.Hour)
	if err := d.issue(d.roots, "shared", localca.Leaf{Hosts: []string{shop, api, staff, pay}, NotAfter: end}); err != nil {
		return err
	}
	if err := d.issue(d.roots, "blog", localca.Leaf{Hosts: []string{blog}, NotAfter: end}); err != nil {
		return err
	}
	return d.issue(d.clients, "client", localca.Leaf{Client: true, CommonName: "alice", NotAfter: end})
}

func (d *Demo) issue(ca *localca.CA, name string, leaf localca.Leaf) error {
	cert, err := ca.Issue(leaf)
	if err != nil {
		return err
	}
	key, err := localca.KeyPEM(cert.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.Path(name+".pem"), localca.CertificatePEM(cert), 0o644); err != nil {
		return err
	}
	return os.WriteFile(d.Path(name+".key"), key, 0o600)
}

func (d *Demo) clientCertificate() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(d.Path("client.pem"), d.Path("client.key"))
}
