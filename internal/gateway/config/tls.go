package config

import (
	"crypto/tls"

	"github.com/usher-http/usher/authority"
)

// checkTLS checks what a site's connections are secured with, and whether it is needed at all.
func (k *checker) checkTLS(c *cursor, spec *SiteSpec, s *Site) {
	onTLS := k.served(s, authority.HTTPS)
	s.MinVersion = tls.VersionTLS12
	if spec.TLS == nil {
		if onTLS && k.decoded {
			k.fail(c.key("tls"), "add tls: {certificates: [{certificate: FILE, key: FILE}]} or tls: {issuer: local}",
				"site %q is served on an https listener and has no certificate", s.Name)
		}
		k.plainOnly(c, spec, s, onTLS)
		return
	}
	at := c.key("tls")
	k.source(at, spec.TLS, s)
	k.clientAuth(at, spec, s)
	if k.oneOf(at.key("min_version"), spec.TLS.MinVersion, "1.2", "1.3") && spec.TLS.MinVersion == "1.3" {
		s.MinVersion = tls.VersionTLS13
	}
	k.plainOnly(c, spec, s, onTLS)
}

// plainOnly refuses a site whose requests could only be redirected to where it is not served.
func (k *checker) plainOnly(c *cursor, spec *SiteSpec, s *Site, onTLS bool) {
	if k.decoded && !onTLS && spec.HTTP == "redirect" && k.served(s, authority.HTTP) {
		k.fail(c.key("http"), "set http: serve, or serve the site on an https listener",
			"site %q is on plaintext listeners alone: there is no https to redirect to", s.Name)
	}
}

// source checks where the certificates come from: files or an issuer, not both.
func (k *checker) source(at *cursor, spec *TLSSpec, s *Site) {
	issuer := at.key("issuer")
	switch {
	case spec.Issuer == "acme":
		k.fail(issuer, "use issuer: local, or certificates from files", "issuer: acme is not available in this version")
		return
	case spec.Issuer != "" && !k.oneOf(issuer, spec.Issuer, "local", "acme"):
		return
	case spec.Issuer != "" && len(spec.Certificates) > 0:
		k.fail(issuer, "keep one of them", "certificates and issuer exclude each other")
		return
	case spec.Issuer == "local":
		s.Issuer = Local
		k.localHosts(at, s)
	case len(spec.Certificates) == 0:
		k.fail(at.key("certificates"), "name files under certificates, or set issuer: local", "tls has no certificates and no issuer")
	default:
		s.Issuer = Files
		for i := range spec.Certificates {
			k.siteCertificate(at.key("certificates").item(i), &spec.Certificates[i], s)
		}
	}
}

func (k *checker) localHosts(at *cursor, s *Site) {
	for _, p := range s.Patterns {
		if p.IsCatchAll() {
			k.fail(at.key("issuer"), "list the hosts, or take certificates from files",
				"issuer: local cannot serve the host \"*\": only a certificate from a file says which hosts it covers")
		}
	}
}

func (k *checker) siteCertificate(c *cursor, spec *CertificateSpec, s *Site) {
	if !k.needed(c, "certificate", spec.Certificate) || !k.needed(c, "key", spec.Key) {
		return
	}
	p := k.pair(spec.Certificate, spec.Key)
	if p.fault != nil {
		k.fail(c.key(p.fault.key), p.fault.hint, "%s", p.fault.message)
		return
	}
	at := c.key("certificate")
	if word, hint := k.lapsed(p.cert.Leaf); word != "" {
		k.fail(at, hint, "certificate %q %s", spec.Certificate, word)
	}
	k.covers(at, spec.Certificate, p, s)
	s.Certificates = append(s.Certificates, p.cert)
	s.Names = append(s.Names, p.names)
}

// needed reports a key that is missing.
func (k *checker) needed(c *cursor, key, value string) bool {
	if value == "" {
		k.fail(c.key(key), "", "%q is missing", key)
	}
	return value != ""
}

// covers refuses a certificate that is not valid for all hosts of its site.
func (k *checker) covers(at *cursor, file string, p *pair, s *Site) {
	if len(p.names.All()) == 0 {
		k.fail(at, "every client looks at subject alternative names alone; the common name does not count",
			"certificate %q has no subject alternative names and covers no host", file)
		return
	}
	var missing []string
	for _, host := range s.Patterns {
		if !coversPattern(p.names, host) {
			missing = append(missing, host.String())
		}
	}
	if len(missing) > 0 {
		k.fail(at, "it covers "+some(p.names.All()), "certificate %q does not cover %s of its site", file, some(missing))
	}
}

// coversPattern reports whether the certificate is valid for every host that the pattern stands for. The catch-all is
// whatever the certificate covers.
func coversPattern(n *authority.Names, p authority.Pattern) bool {
	switch {
	case p.IsCatchAll():
		return true
	case p.IsWildcard():
		return hasWildcard(n, p)
	}
	return n.Covers(p.Authority())
}

func hasWildcard(n *authority.Names, p authority.Pattern) bool {
	want := "*." + p.Authority().Host()
	for _, name := range n.All() {
		if name == want {
			return true
		}
	}
	return false
}

func (k *checker) clientAuth(at *cursor, spec *SiteSpec, s *Site) {
	mode := at.key("client_auth")
	if !k.oneOf(mode, spec.TLS.ClientAuth, "none", "optional", "require") {
		return
	}
	// Cannot fail: the words are the same.
	_ = s.ClientAuth.UnmarshalText([]byte(spec.TLS.ClientAuth))
	ca := at.key("client_ca")
	switch {
	case s.ClientAuth == authority.None && spec.TLS.ClientCA != "":
		k.fail(ca, "set client_auth: require or optional, or remove client_ca", "client_ca has no effect with client_auth: none")
		return
	case s.ClientAuth == authority.None:
		return
	case spec.HTTP == "serve":
		k.fail(at.parent.key("http"), "remove http: serve", "http: serve would answer without the client authentication of site %q", s.Name)
	}
	if spec.TLS.ClientCA == "" {
		k.fail(ca, "name a PEM file with the certificate authorities of the clients", "client_auth: %s needs client_ca", spec.TLS.ClientAuth)
		return
	}
	set := k.authorities("client_ca", spec.TLS.ClientCA)
	if set.fault != nil {
		k.fail(ca, set.fault.hint, "%s", set.fault.message)
		return
	}
	s.ClientCAs = set.certs
}
