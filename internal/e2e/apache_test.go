package e2e

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// An apache is Apache httpd with virtual hosts whose TLS settings differ: by its own rules it answers 421 to a request for two.test on
// a connection whose handshake chose one.test, and the reverse. one.test is what it takes handshakes without SNI for, and those for
// localhost. bad.test has a certificate that does not cover it. Behind it is a server for each of one and two that tells its name and
// what it was sent.
type apache struct {
	port string
	pool *x509.CertPool
	log  string // the file of its access log

	nudged time.Time
}

// apacheConfig has what a virtual host needs and nothing else. %[1]s is the folder, %[2]s the port, then come the URLs of the servers
// behind, and the folder of the modules. The user is the one that Debian has for it; where the test is not root, it is ignored.
const apacheConfig = `
ServerName apache.invalid
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/httpd.pid
Mutex sem
ErrorLog %[1]s/error.log
LogLevel info
LogFormat "%%{begin:usec}t %%U %%{SSL_TLS_SNI}x %%{Host}i %%m %%>s" tests
CustomLog %[1]s/access.log tests
LoadModule mpm_event_module %[5]s/mod_mpm_event.so
LoadModule authz_core_module %[5]s/mod_authz_core.so
LoadModule ssl_module %[5]s/mod_ssl.so
LoadModule proxy_module %[5]s/mod_proxy.so
LoadModule proxy_http_module %[5]s/mod_proxy_http.so
<IfModule unixd_module>
	User www-data
	Group www-data
</IfModule>
Listen 127.0.0.1:%[2]s
<VirtualHost *:%[2]s>
	ServerName one.test
	ServerAlias localhost
	SSLEngine on
	SSLProtocol -all +TLSv1.3
	SSLCertificateFile %[1]s/one.pem
	SSLCertificateKeyFile %[1]s/one.key
	ProxyPass / %[3]s/
</VirtualHost>
<VirtualHost *:%[2]s>
	ServerName two.test
	SSLEngine on
	SSLProtocol -all +TLSv1.2
	SSLCertificateFile %[1]s/two.pem
	SSLCertificateKeyFile %[1]s/two.key
	ProxyPass / %[4]s/
</VirtualHost>
<VirtualHost *:%[2]s>
	ServerName bad.test
	SSLEngine on
	SSLProtocol -all +TLSv1.2
	SSLCertificateFile %[1]s/one.pem
	SSLCertificateKeyFile %[1]s/one.key
	ProxyPass / %[4]s/
</VirtualHost>
`

// startApache starts httpd as a child in the foreground.
func startApache(t *testing.T, ca *testca.CA) *apache {
	t.Helper()
	program := testenv.Tool(t, "apache2")
	dir := t.TempDir()
	ca.WriteServer(t, dir, "one", "one.test", "localhost", "127.0.0.1")
	ca.WriteServer(t, dir, "two", "two.test")
	one, two := behindApache(t, "one"), behindApache(t, "two")
	// Apache takes no socket from its caller: a port that is free now may be somebody else's a moment later.
	for range 5 {
		a := &apache{port: freePort(t), pool: ca.Pool(), log: filepath.Join(dir, "access.log")}
		config := fmt.Sprintf(apacheConfig, dir, a.port, one, two, apacheModules)
		if err := os.WriteFile(filepath.Join(dir, "httpd.conf"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if a.run(t, program, dir) {
			return a
		}
	}
	text, _ := os.ReadFile(filepath.Join(dir, "error.log"))
	t.Fatalf("httpd does not start:\n%s", text)
	return nil
}

// Debian and its relatives have them here.
const apacheModules = "/usr/lib/apache2/modules"

// The shell ends httpd, and httpd its children, when its standard input ends: at the end of the test, or of the process that the test
// runs in, however that ends.
const apacheScript = `exec 3<&0; "$@" & pid=$!; (read -r _ <&3; kill "$pid") >/dev/null 2>&1 & wait "$pid"`

// run reports whether httpd serves.
func (a *apache) run(t *testing.T, program, dir string) bool {
	t.Helper()
	cmd := exec.Command("sh", "-c", apacheScript, "sh", program, "-d", dir, "-f", filepath.Join(dir, "httpd.conf"), "-DFOREGROUND")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		in.Close()
		select {
		case <-exited:
		case <-time.After(patience):
			t.Error("httpd does not end")
			return
		}
		if t.Failed() {
			errors, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("httpd: %s\n%s", out.String(), tail(string(errors), 12))
		}
	})
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		// It listens before it is ready. Who else has got the port may say nothing.
		if c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", "127.0.0.1:"+a.port, &tls.Config{RootCAs: a.pool, ServerName: "one.test"}); err == nil {
			c.Close()
			return true
		}
		select {
		case <-exited:
			t.Logf("httpd ended: %s", out.String())
			return false
		default:
		}
	}
	return false
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// behindApache is the server behind a virtual host.
func behindApache(t *testing.T, name string) (url string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		io.WriteString(w, apacheAnswer(name, r.Method, body))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func apacheAnswer(name, method string, body []byte) string {
	return fmt.Sprintf("%s %s %x\n", name, method, sha256.Sum256(body))
}

// A visit is what httpd says in its access log of one request.
type visit struct{ sni, host, method, status string }

// A logged has the visit and the time at which it began: the lines of requests on several connections are in no order.
type logged struct {
	began int64
	visit
}

// nudge has httpd look up: it logs a request when it is done with it, and on a busy machine it was seen to come to that no sooner than with
// the next connection.
func (a *apache) nudge() {
	if time.Since(a.nudged) < time.Second {
		return
	}
	a.nudged = time.Now()
	if c, err := net.Dial("tcp", "127.0.0.1:"+a.port); err == nil {
		c.Close()
	}
}

// visits returns the requests for a path so far, in the order in which they began, once there are n at least.
func (a *apache) visits(t *testing.T, path string, n int) (list []visit) {
	t.Helper()
	var lines []logged
	eventually(t, fmt.Sprintf("%d lines for %s in httpd's log", n, path), func() bool {
		a.nudge()
		text, _ := os.ReadFile(a.log)
		lines = nil
		for line := range strings.Lines(string(text)) {
			var v logged
			var at string
			if _, err := fmt.Sscanln(line, &v.began, &at, &v.sni, &v.host, &v.method, &v.status); err == nil && at == path {
				lines = append(lines, v)
			}
		}
		return len(lines) >= n
	})
	slices.SortStableFunc(lines, func(a, b logged) int { return cmp.Compare(a.began, b.began) })
	for _, v := range lines {
		list = append(list, v.visit)
	}
	return list
}

// TestApacheMisdirects shows what httpd does without the gateway: the premise of TestUpstreamMisdirected.
func TestApacheMisdirects(t *testing.T) {
	t.Parallel()
	program := testenv.Tool(t, "curl")
	ca := testca.New(t)
	dir := t.TempDir()
	ca.WriteRoot(t, dir, "ca")
	a := startApache(t, ca)
	for i, test := range []struct{ connect, sni, host, status string }{
		{"one.test", "one.test", "one.test", "200"},
		{"one.test", "one.test", "two.test", "421"},
		{"two.test", "two.test", "two.test", "200"},
		{"two.test", "two.test", "one.test", "421"},
		{"localhost", "localhost", "one.test", "200"},
		{"localhost", "localhost", "two.test", "421"},
		{"127.0.0.1", "-", "one.test", "200"},
		{"127.0.0.1", "-", "two.test", "421"},
	} {
		at := test.connect + ":" + a.port
		path := fmt.Sprintf("/%d", i)
		out, errs, code := command(t, dir, "", program, "-sS", "--http1.1", "--cacert", "ca.pem", "-o", os.DevNull, "-w", "%{http_code}",
			"--connect-to", at+":127.0.0.1:"+a.port, "-H", "Host: "+test.host, "https://"+at+path)
		if out != test.status || code != 0 {
			t.Errorf("%s for %s: %s, exit %d, want %s; %s", test.connect, test.host, out, code, test.status, errs)
		}
		want := visit{test.sni, test.host, "GET", test.status}
		if list := a.visits(t, path, 1); len(list) != 1 || list[0] != want {
			t.Errorf("httpd saw %v, want %v", list, want)
		}
	}
}

// A misdirection is a request through the gateway to httpd, and what is to come of it.
type misdirection struct {
	name     string
	upstream string // PORT is httpd's
	method   string
	host     string
	body     string
	streamed bool     // its length is not known beforehand
	answer   string   // the virtual host that answers; empty: 502
	visits   []string // what httpd sees: SNI and status
}

const (
	byAddress = `{urls: ["https://127.0.0.1:PORT"], ca: ca.pem}`
	byName    = `{urls: ["https://localhost:PORT"], ca: ca.pem}`
)

var (
	smallBody = strings.Repeat("replayed ", 1000)
	largeBody = strings.Repeat("once only ", 20_000)
)

var misdirections = []misdirection{
	{"its own SNI", `{urls: ["https://127.0.0.1:PORT"], ca: ca.pem, sni: two.test}`, "GET", "two.test", "", false, "two", []string{"two.test 200"}},
	{"the default virtual host", byAddress, "GET", "one.test", "", false, "one", []string{"- 200"}},
	{"another one", byAddress, "GET", "two.test", "", false, "two", []string{"- 421", "two.test 200"}},
	{"another one by a name", byName, "GET", "two.test", "", false, "two", []string{"localhost 421", "two.test 200"}},
	{"a small body", byAddress, "POST", "two.test", smallBody, false, "two", []string{"- 421", "two.test 200"}},
	{"a small body by a name", byName, "POST", "two.test", smallBody, false, "two", []string{"localhost 421", "two.test 200"}},
	{"a large body where all is well", byAddress, "POST", "one.test", largeBody, true, "one", []string{"- 200"}},
	{"a large body", byAddress, "POST", "two.test", largeBody, true, "", []string{"- 421"}},
	{"a configured SNI", `{urls: ["https://127.0.0.1:PORT"], ca: ca.pem, sni: one.test}`, "GET", "two.test", "", false, "", []string{"one.test 421"}},
	{"a configured SNI, and a body", `{urls: ["https://127.0.0.1:PORT"], ca: ca.pem, sni: one.test}`, "POST", "two.test", smallBody, false, "", []string{"one.test 421"}},
	{"a certificate that does not cover the host", byAddress, "GET", "bad.test", "", false, "", []string{"- 421"}},
}

// TestUpstreamMisdirected: "An upstream's own 421 is an answer about our connection to it. The gateway retries once on a fresh
// connection whose SNI is the request's host, if the first one was reused or had another SNI, no SNI is configured, and the body
// can be replayed; verification is never relaxed. Otherwise [...] 502 at once, counted, with the cure in the log." Each request has an
// upstream of its own in the configuration, so that the gateway knows nothing of it beforehand.
func TestUpstreamMisdirected(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.ca.WriteServer(t, c.dir, "front", "one.test", "two.test", "bad.test")
	a := startApache(t, c.ca)
	var routes strings.Builder
	for _, proto := range protocols {
		for i, test := range misdirections {
			fmt.Fprintf(&routes, "      - {path: /%s-%d, upstream: %s}\n", proto, i, strings.ReplaceAll(test.upstream, "PORT", a.port))
		}
	}
	s := &stage{c, serve(t, c.dir, fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
log: {output: stdout}
state: ./state
sites:
  - name: all
    hosts: [one.test, two.test, bad.test]
    tls: {certificates: [{certificate: front.pem, key: front.key}]}
    routes:
%s`, routes.String()))}
	seen := map[string][]visit{}
	for _, proto := range protocols {
		browser, _ := s.browser(t, proto)
		for i, test := range misdirections {
			t.Run(proto+"/"+test.name, func(t *testing.T) {
				before, mark := s.metrics(t, misdirectedMetric), s.stdout.mark()
				path := fmt.Sprintf("/%s-%d", proto, i)
				status, text := test.ask(t, browser, path)
				counted := increments(t, before, s.metrics(t, misdirectedMetric))[misdirectedMetric]
				if test.answer == "" {
					if status != 502 || counted != 1 {
						t.Errorf("%d %q, counted %d times; want one 502", status, text, counted)
					}
					line := s.stdout.awaitText(t, mark, `"cure":`)
					if !strings.Contains(line, "sni") || !strings.Contains(line, test.host) {
						t.Errorf("the log does not name the cure and the host: %s", line)
					}
				} else if want := apacheAnswer(test.answer, test.method, []byte(test.body)); status != 200 || text != want || counted != 0 {
					t.Errorf("%d %q, counted %d times as not healed; want %q", status, text, counted, want)
				}
				var want []visit
				for _, v := range test.visits {
					sni, status, _ := strings.Cut(v, " ")
					want = append(want, visit{sni, test.host, test.method, status})
				}
				if t.Failed() {
					want = want[:1] // there is one at least
				}
				if list := a.visits(t, path, len(want)); !slices.Equal(list, want) {
					t.Errorf("httpd saw %v, want %v", list, want)
				}
				if test.answer != "two" {
					seen[path] = want
				}
				// What was healed stays so, and other hosts of the same upstream are none the worse for it.
				if test.answer == "two" {
					again := test
					if status, text := again.ask(t, browser, path); status != 200 || text != apacheAnswer("two", test.method, []byte(test.body)) {
						t.Errorf("asked again: %d %q", status, text)
					}
					again.host = "one.test"
					if status, _ := again.ask(t, browser, path); status != 200 && !strings.Contains(test.upstream, "sni:") {
						t.Errorf("asked for one.test behind the same upstream: %d", status)
					}
				}
			})
		}
	}
	// By now a visit too many would be in the log that was not there at once.
	for path, want := range seen {
		if list := a.visits(t, path, 0); !slices.Equal(list, want) {
			t.Errorf("httpd saw %v for %s, want %v", list, path, want)
		}
	}
}

// ask sends it.
func (test *misdirection) ask(t *testing.T, browser *http.Client, path string) (status int, text string) {
	t.Helper()
	body := io.Reader(strings.NewReader(test.body))
	if test.streamed {
		body = struct{ io.Reader }{body}
	}
	r, err := http.NewRequestWithContext(t.Context(), test.method, "https://"+test.host+path, body)
	if err != nil {
		t.Fatal(err)
	}
	w, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	all, err := io.ReadAll(w.Body)
	if err != nil {
		t.Error(err)
	}
	return w.StatusCode, string(all)
}

const misdirectedMetric = "usher_upstream_misdirected_total"
