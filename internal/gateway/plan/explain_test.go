package plan

import (
	"crypto/tls"
	"testing"

	"github.com/usher-http/usher/authority"
)

func TestConnect(t *testing.T) {
	text := listeners + "sites:\n" +
		site("shop", "shop.test", "shared", "") +
		site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem") +
		site("blog", "blog.test", "blog", "min_version: '1.3', client_auth: optional, client_ca: ca.pem") +
		"  - {name: plain, hosts: [plain.test], listeners: [plain], http: serve, routes: [{path: /, respond: {status: 204}}]}\n"
	without, with := planOf(t, text), planOf(t, "default_site: shop\n"+text)
	tests := []struct {
		name   string
		p      *Plan
		client Client
		site   string
		alert  string
	}{
		{"by name", without, Client{SNI: "shop.test"}, "shop", ""},
		{"folded", without, Client{SNI: "SHOP.Test"}, "shop", ""},
		{"no SNI", without, Client{}, "", "unrecognized_name"},
		{"no SNI, default site", with, Client{}, "shop", ""},
		{"unknown", without, Client{SNI: "who.test"}, "", "unrecognized_name"},
		{"unknown, default site", with, Client{SNI: "who.test"}, "shop", ""},
		{"IP literal", without, Client{SNI: "127.0.0.1"}, "", "unrecognized_name"},
		{"trailing dot", with, Client{SNI: "shop.test."}, "", "decode_error"},
		{"required certificate", without, Client{SNI: "staff.test"}, "", "certificate_required"},
		{"required certificate shown", without, Client{SNI: "staff.test", Certificate: true}, "staff", ""},
		{"a certificate that nobody asks for", without, Client{SNI: "shop.test", Certificate: true}, "shop", ""},
		{"optional certificate", without, Client{SNI: "blog.test"}, "blog", ""},
		{"old TLS", without, Client{SNI: "blog.test", Version: tls.VersionTLS12}, "", "protocol_version"},
		{"no certificate of its own", without, Client{SNI: "plain.test"}, "", "unrecognized_name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.client.Listener = test.p.Listener("public")
			conn, alert := test.p.Connect(test.client)
			switch {
			case alert != nil && alert.Name != test.alert:
				t.Errorf("alert %s (%s), want %q", alert.Name, alert.Why, test.alert)
			case alert == nil && (test.alert != "" || conn.Site != test.site):
				t.Errorf("site %q, want %q, alert %q", conn.Site, test.site, test.alert)
			case alert == nil && conn.Verified != (test.client.Certificate && conn.ClientAuth != authority.None):
				t.Errorf("verified: %v", conn.Verified)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	p := planOf(t, listeners+"sites:\n"+
		site("shop", "shop.test", "shared", "")+
		site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem")+
		site("blog", "blog.test", "blog", ""))
	public, plain := p.Listener("public"), p.Listener("plain")
	tests := []struct {
		name   string
		q      Question
		status int
		reason authority.Reason
		retry  string
	}{
		{"served", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTPS, Host: "shop.test"}, 200, authority.OK, ""},
		{"certificate", Question{Client: Client{Listener: public, SNI: "blog.test"}, Scheme: authority.HTTPS, Host: "shop.test"},
			421, authority.CertificateMismatch, "ok"},
		{"client auth", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTPS, Host: "staff.test"},
			421, authority.ClientAuthMismatch, "certificate_required"},
		{"client auth, with a certificate", Question{Client: Client{Listener: public, SNI: "shop.test", Certificate: true}, Scheme: authority.HTTPS, Host: "staff.test"},
			421, authority.ClientAuthMismatch, "ok"},
		{"unknown", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTPS, Host: "who.test"},
			421, authority.UnknownOrigin, "unrecognized_name"},
		{"scheme", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTP, Host: "shop.test"},
			421, authority.SchemeMismatch, "scheme_mismatch"},
		{"malformed", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTPS, Host: "shop.test@"},
			400, authority.MalformedAuthority, ""},
		{"connect", Question{Client: Client{Listener: public, SNI: "shop.test"}, Scheme: authority.HTTPS, Host: "shop.test", Method: "CONNECT"},
			405, authority.MethodNotSupported, ""},
		{"plaintext", Question{Client: Client{Listener: plain}, Scheme: authority.HTTP, Host: "shop.test"}, 308, authority.Redirect, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := p.Explain(test.q)
			if e.Alert != nil {
				t.Fatal(e.Alert)
			}
			if e.Verdict.Status() != test.status || e.Verdict.Reason != test.reason {
				t.Errorf("%d %s, want %d %s", e.Verdict.Status(), e.Verdict.Reason, test.status, test.reason)
			}
			if got := e.Retry.word(); got != test.retry {
				t.Errorf("retry %q, want %q", got, test.retry)
			}
			if test.status != 405 && len(e.Steps) != 8 {
				t.Errorf("%d questions", len(e.Steps))
			}
		})
	}
	if e := p.Explain(Question{Client: Client{Listener: public}, Scheme: authority.HTTPS, Host: "shop.test"}); e.Alert == nil || e.Conn != nil {
		t.Errorf("no SNI and no default site: %+v", e)
	}
}
