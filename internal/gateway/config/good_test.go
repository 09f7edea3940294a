package config_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

func good(t *testing.T, dir, name string) *config.Loaded {
	t.Helper()
	text, err := os.ReadFile("testdata/good/" + name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := load(t, dir, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestFull(t *testing.T) {
	dir := newFolder(t)
	l := good(t, dir, "full.yaml")
	same(t, "mode", l.Mode, authority.Enforce)
	same(t, "unknown hosts", l.UnknownNotFound, true)
	same(t, "default site", l.DefaultSite, "shop")
	same(t, "state", l.State, filepath.Join(dir, "state"))
	same(t, "log", l.Log, config.Log{Format: "text", Output: filepath.Join(dir, "usher.log"), Level: slog.LevelWarn})
	same(t, "admin", l.Admin, &config.Admin{Address: "127.0.0.1:8421", Token: "s3cret", Line: 53, Column: 18})
	same(t, "timeouts", l.Timeouts, config.Timeouts{Handshake: time.Second, Header: 2 * time.Second, Idle: 90 * time.Minute, Connect: 5 * time.Millisecond})
	same(t, "listeners", l.Listeners, []*config.Listener{
		{
			Name: "public", Address: "127.0.0.1:8443", Port: 8443, Scheme: authority.HTTPS, PublicPorts: []uint16{443}, H1: true, H2: true, H3: true,
			TrustedGateways: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.7/32")},
			Line:            6, Column: 14,
		},
		{Name: "127.0.0.1:8080", Address: "127.0.0.1:8080", Port: 8080, Scheme: authority.HTTP, H1: true, H2: true, Line: 13, Column: 14},
	})
	checkShop(t, dir, l.Sites[0])
	checkStaff(t, l.Sites[1])
	plain := l.Sites[2]
	if plain.Name != "plain.example.com" || plain.Issuer != config.NoIssuer || !plain.PlainHTTP || fmt.Sprint(plain.Listeners) != "[127.0.0.1:8080]" {
		t.Errorf("the plaintext site is %+v", plain)
	}
	same(t, "plaintext upstream", fmt.Sprint(plain.Routes[0].Upstream.URLs), "[http://[::1]:9000]")
}

func checkShop(t *testing.T, dir string, s *config.Site) {
	t.Helper()
	if s.Name != "shop" || s.Issuer != config.Files || s.PlainHTTP || s.OwnConnections || s.MinVersion != tls.VersionTLS12 || s.Line != 15+1 {
		t.Errorf("the shop is %+v", s)
	}
	same(t, "patterns", s.Patterns, []authority.Pattern{authority.MustParsePattern("shop.example.com"), authority.MustParsePattern("*.shop.example.com")})
	for i := range s.Certificates {
		if s.Certificates[i].Leaf == nil || !s.Names[i].Covers(authority.MustParse("a.shop.example.com")) {
			t.Errorf("certificate %d has no leaf or the wrong names", i)
		}
	}
	same(t, "number of certificates", []int{len(s.Certificates), len(s.Names), len(s.ClientCAs)}, []int{2, 2, 0})
	var paths []string
	for _, r := range s.Routes {
		paths = append(paths, r.Path)
	}
	same(t, "paths, longest first", paths, []string{"/api/v2", "/assets", "/older", "/api/", "/old", "/"})
	up := s.Routes[0].Upstream
	if up.SNI != "backend.internal" || up.CAs == nil || up.Certificate == nil || up.Certificate.Leaf.Subject.CommonName != "shop.example.com" {
		t.Errorf("upstream %+v", up)
	}
	same(t, "files", s.Routes[1].Files, filepath.Join(dir, "public"))
	same(t, "redirect", s.Routes[2].Redirect, &config.Redirect{To: "/new", Status: 308})
	same(t, "upstream list", fmt.Sprint(s.Routes[3].Upstream.URLs), "[http://127.0.0.1:9000 http://127.0.0.1:9001]")
	same(t, "redirect with status", s.Routes[4].Redirect, &config.Redirect{To: "https://elsewhere.example", Status: 302})
	r := s.Routes[5].Respond
	if r.Status != 201 || r.Body != "hello\n" || r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("respond %+v", r)
	}
}

func checkStaff(t *testing.T, s *config.Site) {
	t.Helper()
	if s.Name != "staff.example.com:8443" || s.Issuer != config.Local || !s.OwnConnections || s.MinVersion != tls.VersionTLS13 ||
		s.ClientAuth != authority.Require || len(s.Certificates) != 0 || !s.On("public") || !s.On("anything") {
		t.Errorf("the staff's site is %+v", s)
	}
	if len(s.ClientCAs) != 2 {
		t.Errorf("%d authorities, want each of the file once", len(s.ClientCAs))
	}
}

func TestDefaults(t *testing.T) {
	dir := newFolder(t)
	l := good(t, dir, "least.yaml")
	same(t, "hazards", l.Hazards, []config.Hazard(nil))
	same(t, "listeners", l.Listeners, []*config.Listener{
		{Name: ":443", Address: ":443", Port: 443, Scheme: authority.HTTPS, H1: true, H2: true, H3: true, Line: 1, Column: 1},
		{Name: ":80", Address: ":80", Port: 80, Scheme: authority.HTTP, H1: true, H2: true, Line: 1, Column: 1},
	})
	same(t, "log", l.Log, config.Log{Format: "json", Output: "stderr", Level: slog.LevelInfo, Access: true})
	same(t, "timeouts", l.Timeouts, config.Timeouts{
		Handshake: 10 * time.Second, Header: 10 * time.Second, Body: time.Minute, Idle: 2 * time.Minute,
		Connect: 5 * time.Second, FirstByte: time.Minute, Drain: 30 * time.Second,
	})
	if l.Admin != nil || l.UnknownNotFound || l.DefaultSite != "" || l.Mode != authority.Enforce {
		t.Errorf("loaded %+v", l)
	}
	s := l.Sites[0]
	if s.Name != "example.com" || s.OwnConnections || s.PlainHTTP || s.Listeners != nil || s.ClientAuth != authority.None || s.MinVersion != tls.VersionTLS12 {
		t.Errorf("site %+v", s)
	}
	same(t, "file", *l.File, config.File{
		Mode: "enforce", UnknownHost: 421, State: "./state",
		Listeners: []config.ListenerSpec{
			{Name: ":443", Address: ":443", Scheme: "https", Protocols: []string{"h1", "h2", "h3"}, OriginFrame: "auto"},
			{Name: ":80", Address: ":80", Scheme: "http", Protocols: []string{"h1", "h2"}, OriginFrame: "auto"},
		},
		Sites: []config.SiteSpec{{
			Name: "example.com", Hosts: []string{"example.com"}, Coalesce: true, HTTP: "redirect",
			TLS:      &config.TLSSpec{Issuer: "local", ClientAuth: "none", MinVersion: "1.2"},
			Upstream: &config.UpstreamSpec{URLs: []string{"http://127.0.0.1:9000"}},
		}},
		Log: config.LogSpec{Format: "json", Output: "stderr", Level: "info", Access: true}, Timeouts: l.File.Timeouts,
	})
}

func TestAliases(t *testing.T) {
	l := good(t, newFolder(t), "aliases.yaml")
	for _, s := range l.Sites {
		if s.MinVersion != tls.VersionTLS13 || len(s.Routes) != 1 || s.Routes[0].Respond.Body != "hello" {
			t.Errorf("site %q: %+v", s.Name, s)
		}
	}
}

// The admin section alone opens the usual address; observe mode, observe; a byte order mark and CRLF are no mistake.
func TestShortForms(t *testing.T) {
	text := "\ufeffmode: observe\r\nadmin: {}\r\ndefault_site:\r\nsites:\r\n- hosts: [example.com]\r\n  tls: {issuer: local}\r\n  upstream: http://127.0.0.1:9000\r\n"
	l, err := load(t, newFolder(t), text)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "admin", l.Admin, &config.Admin{Address: "127.0.0.1:8421", Line: 2, Column: 8})
	same(t, "mode", l.Mode, authority.Observe)
}

// An RSA certificate may stand beside an ECDSA one.
func TestTwoKeyTypes(t *testing.T) {
	dir := newFolder(t)
	text := "sites:\n- hosts: [shop.example.com]\n  tls: {certificates: [{certificate: rsa.pem, key: rsa.key}]}\n  upstream: http://127.0.0.1:9000\n"
	path := filepath.Join(dir, "usher.yaml")
	l, err := config.Parse(path, []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "certificates", len(l.Sites[0].Certificates), 1)
}

// A file that many sites name is read once.
func TestMaterialsAreShared(t *testing.T) {
	dir := newFolder(t)
	site := "- name: s%d\n  hosts: [s%d.shop.example.com]\n  tls: {certificates: [{certificate: shop.pem, key: ./shop.key}]}\n  upstream: http://127.0.0.1:9000\n"
	l, err := load(t, dir, "sites:\n"+fmt.Sprintf(site, 1, 1)+fmt.Sprintf(site, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	if l.Sites[0].Certificates[0].Leaf != l.Sites[1].Certificates[0].Leaf {
		t.Error("the certificate was read twice")
	}
}

func TestListenerPorts(t *testing.T) {
	l := config.Listener{PublicPorts: []uint16{443, 8443}, TrustedGateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}}
	same(t, "ports", l.Ports(9443), []uint16{443, 8443, 9443})
	same(t, "ports, bound to a public one", l.Ports(8443), []uint16{443, 8443})
	for addr, want := range map[string]bool{"192.0.2.9": true, "::ffff:192.0.2.9": true, "fe80::1%lo": true, "192.0.3.1": false, "2001:db8::1": false} {
		if got := l.Trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Trusts(%s) = %v", addr, got)
		}
	}
	if l.Trusts(netip.Addr{}) {
		t.Error("an unknown peer is trusted")
	}
}
