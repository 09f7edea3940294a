package probe

import (
	"cmp"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/report"
)

// A guarded host is one that refuses its own connection without a certificate, or without something else.
type guarded struct {
	name   string
	config string           // of the host
	status string           // curl's, without a certificate, over HTTP/1.1; 000: none
	alone  probe.ClientAuth // as seen without a certificate
	with   probe.ClientAuth // as seen with one that opens it, or does not
	bypass bool             // it is open on the connection of the first host, and protected for certain where alone is "required"
}

// guardedNames are all under one wildcard; the first one is open.
func guardedNames(hosts []guarded, port string) (list []string) {
	for _, h := range hosts {
		list = append(list, h.name+".wild.test:"+port)
	}
	return list
}

// nginxGuarded: SNI and Host are compared for hosts with ssl_verify_client: nothing is open.
var nginxGuarded = []guarded{
	{"one", `return 200 "this is one";`, "200", probe.AuthNone, probe.AuthNone, false},
	{"on", `ssl_verify_client on; return 200 "this is on";`, "400", probe.AuthRequired, probe.AuthRequired, false},
	{"optional", `ssl_verify_client optional; return 200 "this is optional";`, "200", probe.AuthOptional, probe.AuthOptional, false},
	{"rule", `ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 403; } return 200 "this is rule";`, "403", probe.AuthRequired, probe.AuthRequired, false},
	{"noca", `ssl_verify_client optional_no_ca; if ($ssl_client_verify != SUCCESS) { return 401 "who?"; } return 200 "this is noca";`, "401", probe.AuthUnclear, probe.AuthRequired, false},
	{"drop", `ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 444; } return 200 "this is drop";`, "000", probe.AuthUnclear, probe.AuthRequired, false},
	{"password", `ssl_verify_client optional; auth_basic staff; auth_basic_user_file users; root www/one.test; index index.txt;`, "401", probe.AuthUnclear, probe.AuthUnclear, false},
}

func nginxWith(t *testing.T, hosts []guarded) *server {
	c, program := newCast(t), tool(t, "nginx")
	c.first = "one.wild.test"
	c.write(t, "users", "nobody:x\n")
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "daemon off;\npid %[1]s/nginx.pid;\nerror_log %[1]s/error.log;\nworker_processes 1;\nevents {}\nhttp {\naccess_log off;\ndefault_type text/plain;\n", c.dir)
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&b, "%s_temp_path %s/tmp;\n", kind, c.dir)
		}
		for _, h := range hosts {
			fmt.Fprintf(&b, "server { listen 127.0.0.1:%s ssl http2; server_name %s.wild.test; ssl_certificate %[3]s/wild.pem; ssl_certificate_key %[3]s/wild.key; ssl_client_certificate %[3]s/clients.pem;\n%s }\n",
				port, h.name, c.dir, h.config)
		}
		b.WriteString("}\n")
		return exec.Command(program, "-p", c.dir, "-c", c.write(t, "nginx.conf", b.String()))
	})
}

// apacheGuarded: other SSL settings are 421; what a location wants is asked for on every connection that it is asked for on.
var apacheGuarded = []guarded{
	{"one", "SSLVerifyClient none", "200", probe.AuthNone, probe.AuthNone, false},
	{"require", "SSLVerifyClient require", "000", probe.AuthRequired, probe.AuthRequired, false},
	{"optional", "SSLVerifyClient optional", "200", probe.AuthOptional, probe.AuthOptional, false},
	{"rule", "SSLVerifyClient optional\n<Location />\nRequire ssl-verify-client\n</Location>", "403", probe.AuthRequired, probe.AuthRequired, false},
	{"place", "SSLVerifyClient none\n<Location />\nSSLVerifyClient require\n</Location>", "000", probe.AuthRequired, probe.AuthRequired, false},
	{"password", "SSLVerifyClient optional\n<Location />\nAuthType Basic\nAuthName staff\nAuthUserFile users\nRequire valid-user\n</Location>", "401", probe.AuthUnclear, probe.AuthUnclear, false},
}

func apacheGuardedBy(t *testing.T, hosts []guarded, protocol string) *server {
	c, program := newCast(t), tool(t, "apache2")
	c.first = "one.wild.test"
	c.write(t, "users", "nobody:x\n")
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "ServerName default.invalid\nServerRoot %[1]s\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/httpd.pid\nMutex sem\nErrorLog %[1]s/error.log\n", c.dir)
		for _, module := range []string{"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "ssl", "dir", "mime", "socache_shmcb", "http2"} {
			fmt.Fprintf(&b, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
		}
		fmt.Fprintf(&b, "<IfModule unixd_module>\nUser www-data\nGroup www-data\n</IfModule>\nTypesConfig /dev/null\nAddType text/plain .txt\nDirectoryIndex index.txt\n"+
			"Protocols h2 http/1.1\nSSLSessionCache shmcb:%s/cache(512000)\nSSLProtocol %s\nListen 127.0.0.1:%s\n", c.dir, protocol, port)
		for _, h := range hosts {
			c.write(t, "www/"+h.name+"/index.txt", "this is "+h.name+"\n")
			fmt.Fprintf(&b, "<VirtualHost *:%s>\nServerName %s.wild.test\nDocumentRoot %s/www/%[2]s\nSSLEngine on\nSSLCertificateFile %[3]s/wild.pem\nSSLCertificateKeyFile %[3]s/wild.key\n"+
				"SSLCACertificateFile %[3]s/clients.pem\n%[4]s\n</VirtualHost>\n", port, h.name, c.dir, h.config)
		}
		return exec.Command(program, "-d", c.dir, "-f", c.write(t, "httpd.conf", b.String()), "-DFOREGROUND")
	})
}

// haproxyGuarded: rules that look at the SNI alone are open on the first host's connection. They refuse whoever is asked for on theirs, so that
// it is known without a certificate what they want, unless they say that it is a password.
var haproxyGuarded = []guarded{
	{"one", "", "200", probe.AuthNone, probe.AuthNone, false},
	{"require", "", "000", probe.AuthRequired, probe.AuthRequired, true},
	{"rule", "http-request deny if { ssl_fc_sni rule.wild.test } !{ ssl_c_used }", "403", probe.AuthRequired, probe.AuthRequired, true},
	{"bare", "http-request return status 401 if { ssl_fc_sni bare.wild.test } !{ ssl_c_used }", "401", probe.AuthRequired, probe.AuthRequired, true},
	{"bad", "http-request return status 400 if { ssl_fc_sni bad.wild.test } !{ ssl_c_used }", "400", probe.AuthRequired, probe.AuthRequired, true},
	{"password", "http-request auth if { ssl_fc_sni password.wild.test }", "401", probe.AuthUnclear, probe.AuthUnclear, true},
	{"reject", "http-request reject if { ssl_fc_sni reject.wild.test } !{ ssl_c_used }", "000", probe.AuthUnclear, probe.AuthRequired, true},
}

// haproxyByHost: rules that look at Host refuse on every connection, for another reason than a certificate. Nothing is open.
var haproxyByHost = []guarded{
	{"one", "", "200", probe.AuthNone, probe.AuthNone, false},
	{"user", "http-request auth if { req.hdr(host),field(1,:) -m str user.wild.test }", "401", probe.AuthUnclear, probe.AuthUnclear, false},
	{"token", "http-request return status 401 if { req.hdr(host),field(1,:) -m str token.wild.test }", "401", probe.AuthUnclear, probe.AuthUnclear, false},
}

func haproxyWith(t *testing.T, hosts []guarded) *server {
	c, program := newCast(t), tool(t, "haproxy")
	c.first = "one.wild.test"
	return c.launch(t, func(port string) *exec.Cmd {
		var list, rules strings.Builder
		for _, h := range hosts {
			verify := map[string]string{"one": "none", "require": "required"}[h.name]
			fmt.Fprintf(&list, "%s/wild-both.pem [ca-file %[1]s/clients.pem verify %s] %s.wild.test\n", c.dir, cmp.Or(verify, "optional"), h.name)
			rules.WriteString("  " + h.config + "\n")
		}
		for _, h := range hosts {
			fmt.Fprintf(&rules, "  http-request return status 200 content-type text/plain string \"this is %[1]s\" if { req.hdr(host),field(1,:) -m str %[1]s.wild.test }\n", h.name)
		}
		config := fmt.Sprintf("global\n  log stderr local0 err\ndefaults\n  mode http\n  timeout client 10s\n  timeout server 10s\n  timeout connect 5s\n"+
			"frontend f\n  bind 127.0.0.1:%s ssl crt-list %s alpn h2,http/1.1\n%s  http-request return status 404\n", port, c.write(t, "list.txt", list.String()), rules.String())
		return exec.Command(program, "-db", "-f", c.write(t, "haproxy.cfg", config))
	})
}

// TestClientAuth: what refuses for want of a client certificate is told from what refuses for want of a password, and where that is not
// clear, nothing is said for certain: no bypass is missed where a certificate shows what is behind the door, and none is made up.
func TestClientAuth(t *testing.T) {
	for _, test := range []struct {
		name  string
		hosts []guarded
		start func(*testing.T) *server
	}{
		{"nginx", nginxGuarded, func(t *testing.T) *server { return nginxWith(t, nginxGuarded) }},
		{"apache, TLS 1.3", apacheGuarded, func(t *testing.T) *server { return apacheGuardedBy(t, apacheGuarded, "-all +TLSv1.2 +TLSv1.3") }},
		{"apache, TLS 1.2", apacheGuarded, func(t *testing.T) *server { return apacheGuardedBy(t, apacheGuarded, "-all +TLSv1.2") }},
		{"haproxy", haproxyGuarded, func(t *testing.T) *server { return haproxyWith(t, haproxyGuarded) }},
		{"haproxy, by Host", haproxyByHost, func(t *testing.T) *server { return haproxyWith(t, haproxyByHost) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.start(t)
			s.statuses(t, test.hosts)
			for _, with := range []bool{false, true} {
				r := s.probeGuarded(t, test.hosts, with)
				for i, h := range test.hosts {
					want := h.alone
					if with {
						want = h.with
					}
					if got := r.Hosts[i]; got.ClientAuth != want || got.Unreachable != "" {
						t.Errorf("%s, certificate %v: %s (%s), want %s", h.name, with, got.ClientAuth, got.Unreachable, want)
					}
					checkBypass(t, r, i, h, with, h.bypass && want == probe.AuthRequired)
				}
			}
		})
	}
}

func checkBypass(t *testing.T, r *probe.Report, i int, h guarded, with, want bool) {
	t.Helper()
	name := r.Hosts[i].Name
	if got := slices.ContainsFunc(r.Findings, func(f probe.Finding) bool { return f.ID == probe.Bypass && f.Host == name }); got != want {
		t.Errorf("%s, certificate %v: bypass %v, want %v", h.name, with, got, want)
	}
	// A host that is open elsewhere and may be protected is not passed over.
	unsure := slices.ContainsFunc(r.Pairs, func(p probe.Pair) bool {
		return p.Host == name && p.Connection == r.Hosts[0].Name && p.Outcome == probe.CannotTell && p.Status == 200
	})
	if unsure != (h.bypass && !want) {
		t.Errorf("%s, certificate %v: unsure %v", h.name, with, unsure)
	}
	// Whoever asks for certificates in the same way everywhere is not told to answer 421.
	for _, f := range r.Findings {
		if f.ID == probe.NotRetried && f.Host == name && !h.bypass && i > 0 {
			t.Errorf("%s, certificate %v: %s %s", h.name, with, f.Sent, f.Got)
		}
	}
}

func (s *server) probeGuarded(t *testing.T, hosts []guarded, with bool) *probe.Report {
	t.Helper()
	args := []string{"probe", "--json", "--ca", "ca.pem", "--connect", "::127.0.0.1:", "--timeout", "1m", "--target-rate", "0", "--concurrency", "4", "--protocols", "h1,h2"}
	if with {
		args = append(args, "--cert", "me.pem", "--key", "me.key")
	}
	out, _ := run(t, s.dir, testenv.UsherBinary(t), append(args, guardedNames(hosts, s.port)...)...)
	r, err := report.Read(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return r
}

// statuses has curl say what a client without a certificate gets.
func (s *server) statuses(t *testing.T, hosts []guarded) {
	t.Helper()
	for i, name := range guardedNames(hosts, s.port) {
		out, _ := run(t, s.dir, testenv.Tool(t, "curl"), "-sk", "--http1.1", "--connect-to", "::127.0.0.1:"+s.port, "-o", "page.txt", "-w", "%{http_code}", "https://"+name+"/")
		if out != hosts[i].status {
			t.Errorf("curl: %s answers %s, want %s", name, out, hosts[i].status)
		}
	}
}
