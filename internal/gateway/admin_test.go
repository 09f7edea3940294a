package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func mustOpen(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustRename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// ask makes a request to the admin listener.
func (r *running) ask(t *testing.T, method, path, host, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.AdminAddress().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(text)}
}

func TestAdmin(t *testing.T) {
	r := newFolder(t).start(t, basic+"admin: {address: \"127.0.0.1:0\"}\n")
	r.ask(t, "GET", "/", "", "").want(t, 200, "/metrics")
	r.ask(t, "GET", "/healthz", "", "").want(t, 200, "ok")
	r.ask(t, "GET", "/readyz", "", "").want(t, 200, "ready")
	r.ask(t, "GET", "/metrics", "", "").want(t, 200, "usher_build_info")
	r.ask(t, "GET", "/debug/pprof/", "", "").want(t, 404, "")
	r.ask(t, "GET", "/index.html", "", "").want(t, 404, "")
	r.ask(t, "POST", "/healthz", "", "").want(t, 405, "")
	for host, status := range map[string]int{
		"localhost":           200,
		"LOCALHOST:8421":      200,
		"usher.localhost":     200,
		"127.0.0.1":           200,
		"[::1]:8421":          200,
		"rebound.example":     421,
		"rebound.example:80":  421,
		"localhost.evil.test": 421,
		"a.test.example":      421,
	} {
		r.ask(t, "GET", "/metrics", host, "").want(t, status, "")
	}
}

func TestAdminToken(t *testing.T) {
	f := newFolder(t)
	f.write(t, "token", "0123456789abcdef0123456789abcdef\n")
	text := basic + "admin: {address: \"127.0.0.1:0\", token_file: token}\n"
	r := f.start(t, text)
	for token, status := range map[string]int{
		"":                                       401,
		"Bearer":                                 401,
		"Bearer wrong":                           401,
		"Basic 0123456789abcdef0123456789abcdef": 401,
		"0123456789abcdef0123456789abcdef":       401,
		"Bearer 0123456789abcdef0123456789abcdef": 200,
		"bearer 0123456789abcdef0123456789abcdef": 200,
	} {
		r.ask(t, "GET", "/metrics", "", token).want(t, status, "")
	}
	if got := r.ask(t, "GET", "/metrics", "", "").Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate %q", got)
	}
	r.ask(t, "GET", "/", "metrics.internal.example", "Bearer 0123456789abcdef0123456789abcdef").want(t, 200, "")
	f.write(t, "token", "fedcba9876543210fedcba9876543210\n")
	r.reloadText(t, text)
	r.ask(t, "GET", "/", "", "Bearer 0123456789abcdef0123456789abcdef").want(t, 401, "")
	r.ask(t, "GET", "/", "", "Bearer fedcba9876543210fedcba9876543210").want(t, 200, "")
}

func TestMetrics(t *testing.T) {
	r := newFolder(t).startWith(t, basic, Options{Version: "1.2.3"})
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		c.get(t, "a.test.example", "/").want(t, 200, "")
		c.get(t, "own.test.example", "/").want(t, 421, "")
		c.get(t, "b.test.example", "/none").want(t, 404, "")
		r.wantMetric(t, 2, "usher_verdicts_total", "reason=ok", "proto="+proto)
		r.wantMetric(t, 1, "usher_verdicts_total", "reason=certificate_mismatch", "proto="+proto)
		r.wantMetric(t, 1, "usher_handshakes_total", "resumed=no", "proto="+proto)
		r.wantMetric(t, 1, "usher_connections", "listener=tls", "proto="+proto)
		eventually(t, "the last request is counted", func() bool {
			return r.metric(t, "usher_request_duration_seconds", "proto="+proto) == 3
		})
		r.wantMetric(t, 1, "usher_requests_total", "status=200", "proto="+proto)
		r.wantMetric(t, 1, "usher_requests_total", "status=421", "proto="+proto)
		r.wantMetric(t, 1, "usher_requests_total", "status=404", "proto="+proto)
		c.http.CloseIdleConnections()
		if proto == "h3" {
			c.http.Transport.(io.Closer).Close()
		}
		eventually(t, "the connection is gone", func() bool {
			return r.metric(t, "usher_connections", "listener=tls", "proto="+proto) == 0
		})
	}
	r.wantMetric(t, 1, "usher_build_info", "version=1.2.3")
	if at := r.metric(t, "usher_config_last_reload_success_timestamp"); at == 0 {
		t.Error("no time of the last configuration")
	}
	for _, site := range r.compiled.Sites {
		r.wantMetric(t, float64(site.Certificates[0].Leaf.NotAfter.Unix()), "usher_certificate_not_after_seconds", "site="+site.Name)
	}
}

func TestResumptionsAreCounted(t *testing.T) {
	r := newFolder(t).start(t, basic)
	cache := tls.NewLRUClientSessionCache(1)
	for i, want := range []string{"no", "yes"} {
		c := r.client(t, "h1", "tls", "a.test.example")
		c.http.Transport.(*http.Transport).TLSClientConfig.ClientSessionCache = cache
		c.get(t, "a.test.example", "/").want(t, 200, "")
		r.wantMetric(t, 1, "usher_handshakes_total", "resumed="+want, "proto=h1")
		if i == 1 {
			r.log.wait(t, "msg", "request", "resumed", "true")
		}
	}
}
