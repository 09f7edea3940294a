package config

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/usher-http/usher/authority"
)

// decode reads the three forms of an upstream.
func (u *UpstreamSpec) decode(d *decoder, c *cursor) {
	v := reflect.ValueOf(u).Elem()
	switch c.node.Kind {
	case yaml.MappingNode:
		d.structure(c, v)
	case yaml.SequenceNode:
		d.list(c, v.FieldByName("URLs"))
	default:
		one := reflect.New(reflect.TypeFor[string]()).Elem()
		d.scalar(c, one)
		if s := one.String(); s != "" {
			u.URLs = []string{s}
		}
	}
}

func (k *checker) checkUpstream(c *cursor, spec *UpstreamSpec) *Upstream {
	u := &Upstream{SNI: spec.SNI}
	if len(spec.URLs) == 0 {
		at := c
		if c.node != nil && c.node.Kind == yaml.MappingNode {
			at = c.key("urls")
		}
		k.fail(at, "write a URL, as in http://127.0.0.1:9000", "upstream has no URL")
	}
	secure := false
	for i, s := range spec.URLs {
		if parsed := k.upstreamURL(c.url(i), s); parsed != nil {
			secure = secure || parsed.Scheme == "https"
			u.URLs = append(u.URLs, parsed)
		}
	}
	k.onlyWithTLS(c, spec, len(u.URLs) > 0 && len(u.URLs) == len(spec.URLs) && !secure)
	k.upstreamSNI(c.key("sni"), spec.SNI)
	if spec.CA != "" {
		u.CAs = k.upstreamCAs(c.key("ca"), spec.CA)
	}
	k.upstreamCertificate(c, spec, u)
	return u
}

// upstreamURL reads scheme://host[:port], with at most one slash behind it.
func (k *checker) upstreamURL(c *cursor, s string) *url.URL {
	refuse := func(hint, reason string) *url.URL {
		k.fail(c, hint, "upstream %q %s", s, reason)
		return nil
	}
	if s == "" {
		return refuse("write a URL, as in http://127.0.0.1:9000", "is empty")
	}
	if !strings.Contains(s, "://") {
		return refuse("write \"http://"+s+"\"", "has no scheme")
	}
	u, err := url.Parse(s)
	if err != nil {
		return refuse("", "is no URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("", "must begin with http:// or https://")
	case u.User != nil:
		return refuse("", "must not hold a user or a password")
	case u.Path != "" && u.Path != "/":
		return refuse("requests keep their own path; write \""+u.Scheme+"://"+u.Host+"\"", "must not have a path")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return refuse("", "must not have a query or a fragment")
	}
	a, err := authority.Parse(u.Host)
	if err != nil {
		return refuse(upstreamHint(u.Host), "has no valid host: "+hostReason(err, u.Host))
	}
	return &url.URL{Scheme: u.Scheme, Host: a.String()}
}

func upstreamHint(host string) string {
	if isASCII(host) {
		return ""
	}
	return asciiHint(host)
}

// onlyWithTLS refuses keys that would be ignored: who writes ca believes that the connection is verified.
func (k *checker) onlyWithTLS(c *cursor, spec *UpstreamSpec, plain bool) {
	if !plain {
		return
	}
	for _, f := range []struct{ key, value string }{
		{"sni", spec.SNI}, {"ca", spec.CA}, {"certificate", spec.Certificate}, {"key", spec.Key},
	} {
		if f.value != "" {
			k.fail(c.key(f.key), "use https:// in urls, or remove the key", "%s has no effect on http:// upstreams", f.key)
		}
	}
}

func (k *checker) upstreamSNI(c *cursor, sni string) {
	if sni == "" {
		return
	}
	if _, err := netip.ParseAddr(sni); err == nil {
		k.fail(c, "", "sni %q is an IP address, and a server name is none (RFC 6066 section 3)", sni)
		return
	}
	if a, err := authority.ParseHost(sni); err != nil || a.Host() != strings.ToLower(sni) {
		k.fail(c, upstreamHint(sni), "sni %q is no host name", sni)
	}
}

func (k *checker) upstreamCAs(c *cursor, path string) *x509.CertPool {
	set := k.authorities("ca", path)
	if set.fault != nil {
		k.fail(c, set.fault.hint, "%s", set.fault.message)
		return nil
	}
	pool := x509.NewCertPool()
	for _, cert := range set.certs {
		pool.AddCert(cert)
	}
	return pool
}

func (k *checker) upstreamCertificate(c *cursor, spec *UpstreamSpec, u *Upstream) {
	if spec.Certificate == "" && spec.Key == "" {
		return
	}
	if !k.needed(c, "certificate", spec.Certificate) || !k.needed(c, "key", spec.Key) {
		return
	}
	p := k.pair(spec.Certificate, spec.Key)
	if p.fault != nil {
		k.fail(c.key(p.fault.key), p.fault.hint, "%s", p.fault.message)
		return
	}
	if word, hint := k.lapsed(p.cert.Leaf); word != "" {
		k.fail(c.key("certificate"), hint, "certificate %s %s", strconv.Quote(spec.Certificate), word)
	}
	cert := p.cert
	u.Certificate = &cert
}
