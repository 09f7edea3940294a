package probe

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// tool finds a program where only root's PATH leads, too.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return testenv.Tool(t, name)
}

// nginx with a server block for each host, and no more: the first one is the default.
func nginx(t *testing.T) *server {
	c, program := newCast(t), tool(t, "nginx")
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "daemon off;\npid %[1]s/nginx.pid;\nerror_log %[1]s/error.log;\nworker_processes 1;\nevents {}\nhttp {\naccess_log off;\n", c.dir)
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&b, "%s_temp_path %s/tmp;\n", kind, c.dir)
		}
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = fmt.Sprintf("ssl_verify_client on; ssl_client_certificate %s/clients.pem;", c.dir)
			}
			fmt.Fprintf(&b, "server { listen 127.0.0.1:%s ssl http2; server_name %s; ssl_certificate %[3]s/%[4]s.pem; ssl_certificate_key %[3]s/%[4]s.key; %[5]s\n"+
				"default_type text/plain; return 200 %[6]q; }\n", port, name, c.dir, certificateOf(name), verify, content(name))
		}
		b.WriteString("}\n")
		return exec.Command(program, "-p", c.dir, "-c", c.write(t, "nginx.conf", b.String()))
	})
}

// apache with a virtual host for each host.
func apache(t *testing.T) *server { return apacheWith(t, "h2 http/1.1") }

func apacheWith(t *testing.T, protocols string) *server {
	t.Helper()
	c, program := newCast(t), tool(t, "apache2")
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "ServerName default.invalid\nServerRoot %[1]s\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/httpd.pid\nMutex sem\nErrorLog %[1]s/error.log\n", c.dir)
		modules := []string{"mpm_event", "authz_core", "ssl", "dir", "mime", "socache_shmcb"}
		if strings.Contains(protocols, "h2") {
			modules = append(modules, "http2")
		}
		for _, module := range modules {
			fmt.Fprintf(&b, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
		}
		fmt.Fprintf(&b, "<IfModule unixd_module>\nUser www-data\nGroup www-data\n</IfModule>\nTypesConfig /dev/null\nAddType text/plain .txt\nDirectoryIndex index.txt\n"+
			"Protocols %s\nSSLSessionCache shmcb:%s/cache(512000)\nListen 127.0.0.1:%s\n", protocols, c.dir, port)
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = "SSLVerifyClient require\nSSLCACertificateFile " + c.dir + "/clients.pem\n"
			}
			fmt.Fprintf(&b, "<VirtualHost *:%s>\nServerName %s\nDocumentRoot %s/www/%[2]s\nSSLEngine on\nSSLCertificateFile %[3]s/%[4]s.pem\nSSLCertificateKeyFile %[3]s/%[4]s.key\n%s</VirtualHost>\n",
				port, name, c.dir, certificateOf(name), verify)
		}
		return exec.Command(program, "-d", c.dir, "-f", c.write(t, "httpd.conf", b.String()), "-DFOREGROUND")
	})
}

// haproxy with a crt-list: client authentication is chosen by SNI, content by Host, and nothing compares the two.
func haproxy(t *testing.T) *server {
	c, program := newCast(t), tool(t, "haproxy")
	return c.launch(t, func(port string) *exec.Cmd {
		var list, rules strings.Builder
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = fmt.Sprintf("[ca-file %s/clients.pem verify required] ", c.dir)
			}
			fmt.Fprintf(&list, "%s/%s-both.pem %s%s\n", c.dir, certificateOf(name), verify, name)
			fmt.Fprintf(&rules, "  http-request return status 200 content-type text/plain string %q if { req.hdr(host),field(1,:),lower -m str %s }\n", strings.TrimSpace(content(name)), name)
		}
		crt := c.write(t, "list.txt", list.String())
		config := fmt.Sprintf("global\n  log stderr local0 err\ndefaults\n  mode http\n  timeout client 10s\n  timeout server 10s\n  timeout connect 5s\n"+
			"frontend f\n  bind 127.0.0.1:%s ssl crt-list %s alpn h2,http/1.1\n%s  http-request return status 404\n", port, crt, rules.String())
		return exec.Command(program, "-db", "-f", c.write(t, "haproxy.cfg", config))
	})
}

// lighttpd with a condition for each host. It builds the chain of a certificate itself where clients are verified, and wants the issuer beside it.
func lighttpd(t *testing.T) *server {
	c, program := newCast(t), tool(t, "lighttpd")
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "server.modules = (\"mod_openssl\")\nserver.bind = \"127.0.0.1\"\nserver.port = %s\nserver.document-root = \"%s/www/one.test\"\n"+
			"index-file.names = (\"index.txt\")\nmimetype.assign = (\".txt\" => \"text/plain\")\nserver.errorlog = \"%[2]s/error.log\"\n"+
			"ssl.engine = \"enable\"\nssl.pemfile = \"%[2]s/shared-chain.pem\"\n", port, c.dir)
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = fmt.Sprintf("ssl.verifyclient.activate = \"enable\"\nssl.verifyclient.enforce = \"enable\"\nssl.verifyclient.ca-file = \"%s/clients.pem\"\n", c.dir)
			}
			fmt.Fprintf(&b, "$HTTP[\"host\"] =~ \"^%s(:|$)\" {\nserver.document-root = \"%s/www/%s\"\nssl.pemfile = \"%[2]s/%[4]s-chain.pem\"\n%[5]s}\n",
				strings.ReplaceAll(name, ".", `\.`), c.dir, name, certificateOf(name), verify)
		}
		return exec.Command(program, "-D", "-f", c.write(t, "lighttpd.conf", b.String()))
	})
}

// caddy with a site for each host. It compares SNI and Host by itself as soon as one site has client authentication.
func caddy(t *testing.T) *server {
	c := newCast(t)
	program := testenv.Caddy(t)
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		b.WriteString("{\n admin off\n auto_https off\n skip_install_trust\n persist_config off\n}\n")
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = fmt.Sprintf("\n client_auth {\n mode require_and_verify\n trust_pool file %s/clients.pem\n }", c.dir)
			}
			fmt.Fprintf(&b, "https://%s:%s {\n bind 127.0.0.1\n tls %s/%[4]s.pem %[3]s/%[4]s.key {%[5]s\n }\n header Content-Type text/plain\n respond %[6]q\n}\n",
				name, port, c.dir, certificateOf(name), verify, content(name))
		}
		cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", c.write(t, "Caddyfile", b.String()))
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
		return cmd
	})
}

// usher with a site for each host.
func usher(t *testing.T) *server {
	c := newCast(t)
	return c.launch(t, func(port string) *exec.Cmd {
		var b strings.Builder
		fmt.Fprintf(&b, "listeners: [{name: public, address: \"127.0.0.1:%s\"}]\nstate: ./state\nlog: {output: stdout, access: false}\nsites:\n", port)
		for _, name := range names {
			verify := ""
			if name == "staff.test" {
				verify = ", client_auth: require, client_ca: clients.pem"
			}
			fmt.Fprintf(&b, "  - hosts: [%s]\n    tls: {certificates: [{certificate: %[2]s.pem, key: %[2]s.key}]%s}\n    routes: [{path: /, respond: {body: %q}}]\n",
				name, certificateOf(name), verify, content(name))
		}
		return exec.Command(testenv.UsherBinary(t), "serve", "-c", c.write(t, "usher.yaml", b.String()))
	})
}
