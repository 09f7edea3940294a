package names

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNginx(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"nginx.conf": `user www-data; # server { listen 443 ssl; server_name comment.test; }
events { worker_connections 768; }
stream { server { listen 1 ssl; server_name stream.test; proxy_pass x; } }
http {
	map $http_upgrade $x { default "a; b"; '' close; }
	log_format main '$remote_addr "$request" {';
	server { listen 80; server_name plain.test; }
	server {
		listen 443 ssl http2; listen [::]:443 ssl;
		server_name www.test "quoted.test" WWW.test;
		location ~ \.php$ { set $y "${host}x"; return 200 "}"; }
		if ($host = "x") { return 301 https://www.test$request_uri; }
	}
	server { listen 127.0.0.1:8443 ssl; listen 8443 quic; server_name api.test *.wild.test "~^re\d{1,3}\.test$" _ ""; }
	server { listen 443 ssl; server_name .below.test;
		access_by_lua_block { local t = {a = 1} ; if t then end }
	}
	server { ssl on; server_name old.test; }
	server { listen 8444; ssl on; server_name older.test; }
	server { listen *:443; server_name inherits.test; }
	server { listen 127.0.0.1:443; server_name not.test; }
	server { listen unix:/run/x.sock ssl; server_name unix.test; }
	server { listen 443 ssl; server_name bücher.test "a b" dot.test.; }
	include sites/*.conf;
	include nothing/*.conf;
}
`,
		"sites/a.conf":    "server { listen 443 ssl; include sites/names.inc; }\n",
		"sites/b.conf":    "server { listen 80; server_name b.test; }",
		"sites/names.inc": "server_name included.test;",
	})
	list, err := Nginx(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"www.test", "quoted.test", "api.test:8443", "below.test", "old.test", "older.test:8444", "inherits.test", "dot.test", "included.test"}; !slices.Equal(list.Hosts, want) {
		t.Errorf("hosts %q, want %q", list.Hosts, want)
	}
	if want := []string{"*.wild.test", `~^re\d{1,3}\.test$`, "*.below.test"}; !slices.Equal(list.Skipped, want) {
		t.Errorf("skipped %q, want %q", list.Skipped, want)
	}
	if want := []string{"bücher.test", "a b"}; !slices.Equal(list.Odd, want) {
		t.Errorf("no hosts %q, want %q", list.Odd, want)
	}
}

func TestNginxMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"http {\nserver {\n":               "2: \"server\" is not closed",
		"}":                                "a } without its {",
		"server_name \"a":                  "quotation mark",
		"user www-data":                    `"user" is not finished`,
		"include nginx.conf;":              "include each other",
		"http {\n include missing.conf; }": "2: include",
		"x ${a":                            "${ is not closed",
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"nginx.conf": text})
		if _, err := Nginx(filepath.Join(dir, "nginx.conf")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestUsher(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"usher.yaml": `listeners:
  - {name: public, address: "127.0.0.1:8443", public_ports: [443]}
  - {name: far, address: "[::1]:9443"}
  - {address: ":80", scheme: http}
sites:
  - hosts: [www.test, "*.www.test", "api.test:7443"]
  - {hosts: [far.test], listeners: [far]}
  - {hosts: ["*"]}
  - {hosts: ["2001:db8::1", "[2001:db8::2]:444", "[2001:db8::3]", "plain.test:80"], listeners: [public, far]}
`,
		"short.yaml": "sites: [{hosts: [a.test]}]",
		"bad.yaml":   "sites: {a",
		"any.yaml":   `{listeners: [{address: "127.0.0.1:0"}], sites: [{hosts: [a.test]}]}`,
	})
	list, err := Usher(filepath.Join(dir, "usher.yaml"))
	if want := []string{"www.test", "www.test:9443", "api.test:7443", "far.test:9443", "[2001:db8::1]", "[2001:db8::1]:9443", "[2001:db8::2]:444", "[2001:db8::3]", "[2001:db8::3]:9443"}; err != nil || !slices.Equal(list.Hosts, want) {
		t.Errorf("%v, hosts %q, want %q", err, list.Hosts, want)
	}
	if want := []string{"*.www.test", "*"}; !slices.Equal(list.Skipped, want) {
		t.Errorf("skipped %q", list.Skipped)
	}
	if list, err = Usher(filepath.Join(dir, "short.yaml")); err != nil || !slices.Equal(list.Hosts, []string{"a.test"}) {
		t.Errorf("%v %q", err, list.Hosts)
	}
	if _, err = Usher(filepath.Join(dir, "bad.yaml")); err == nil {
		t.Error("bad YAML")
	}
	if list, err = Usher(filepath.Join(dir, "any.yaml")); err == nil || !strings.Contains(err.Error(), `any.yaml: listener "127.0.0.1:0": the system chooses its port`) {
		t.Errorf("a port that nobody knows: %v %q", err, list.Hosts)
	}
}

// Whatever stands in a file, reading it ends and does not crash.
func FuzzNginx(f *testing.F) {
	f.Add("server { listen 443 ssl; server_name a.test; }")
	f.Add("a { b_by_lua_block { } \"\\")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "nginx.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "include") {
			return // it may name files of this machine
		}
		Nginx(path)
	})
}
