package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/gateway/config"
)

func wantFields(t *testing.T, line map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if have := line[name]; fmt.Sprint(have) != fmt.Sprint(value) {
			t.Errorf("%s: %v, want %v", name, have, value)
		}
	}
}

func TestAccessLog(t *testing.T) {
	r := newFolder(t).start(t, basic)
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		c.get(t, "a.test.example", "/p%20q?token=secret").want(t, 200, "")
		line := r.log.wait(t, "msg", "request", "proto", proto, "status", "200")
		wantFields(t, line, map[string]any{
			"level": "INFO", "listener": "tls", "method": "GET", "authority": "a.test.example", "path": "/p%20q", "bytes": 7,
			"verdict": "serve", "reason": "ok", "site": "a", "sni": "a.test.example", "handshake_site": "a", "tls": "1.3",
			"resumed": false, "would_refuse": nil, "cure": nil,
		})
		if d, ok := line["duration"].(float64); !ok || d <= 0 || d > 60 {
			t.Errorf("duration %v is no number of seconds", line["duration"])
		}
		if remote, _ := line["remote"].(string); !strings.HasPrefix(remote, "127.0.0.1:") {
			t.Errorf("remote %v", remote)
		}
		c.get(t, "own.test.example", "/").want(t, 421, "")
		line = r.log.wait(t, "msg", "request", "proto", proto, "status", "421")
		wantFields(t, line, map[string]any{
			"level": "INFO", "verdict": "misdirected", "reason": "certificate_mismatch", "site": "own", "authority": "own.test.example",
			"sni": "a.test.example", "handshake_site": "a",
		})
		if cure, _ := line["cure"].(string); cure == "" {
			t.Error("a refusal without a cure")
		}
	}
	r.client(t, "h1", "plain", "").get(t, "b.test.example", "/").want(t, 308, "")
	line := r.log.wait(t, "msg", "request", "listener", "plain")
	wantFields(t, line, map[string]any{"status": 308, "verdict": "redirect", "reason": "redirect", "tls": nil, "sni": nil})
	if strings.Contains(r.log.text(), "secret") {
		t.Error("the query is in the log")
	}
}

func TestObserveMode(t *testing.T) {
	r := newFolder(t).start(t, "mode: observe\n"+basic)
	r.client(t, "h2", "tls", "a.test.example").get(t, "own.test.example", "/").want(t, 200, "site own")
	line := r.log.wait(t, "msg", "request")
	wantFields(t, line, map[string]any{"verdict": "serve", "reason": "ok", "would_refuse": "certificate_mismatch", "status": 200})
	if cure, _ := line["cure"].(string); cure == "" {
		t.Error("what would be refused has no cure")
	}
	r.wantMetric(t, 1, "usher_verdicts_total", "reason=ok", "proto=h2")
	r.wantMetric(t, 1, "usher_would_refuse_total", "reason=certificate_mismatch", "proto=h2")
}

func TestAccessLogOff(t *testing.T) {
	up := newUpstreamServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	r := newFolder(t).start(t, proxied(up)+"log: {access: false}\n")
	c := r.client(t, "h1", "tls", "a.test.example")
	c.get(t, "a.test.example", "/").want(t, 502, "")
	r.log.wait(t, "msg", "upstream failed") // what failed is told all the same
	if n := r.log.count("msg", "request"); n != 0 {
		t.Errorf("%d requests logged", n)
	}
	r.wantMetric(t, 1, "usher_requests_total", "status=502", "proto=h1")
}

func TestLogFormatsEscape(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		newLogger(&out, config.Log{Format: format}).Info("request", "path", "a\nmsg=forged", "authority", "\x1b[31m\u2028")
		if n := strings.Count(out.String(), "\n"); n != 1 || strings.ContainsAny(out.String(), "\x1b\u2028") {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}

func TestLogFileIsOpenedAnew(t *testing.T) {
	f := newFolder(t)
	text := basic + "log: {output: ./log/usher.log}\n"
	f.write(t, "log/usher.log", "")
	g, err := Start(t.Context(), f.load(t, text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Shutdown(t.Context()) })
	r := &running{g, f, nil}
	r.client(t, "h1", "tls", "a.test.example").get(t, "a.test.example", "/").want(t, 200, "")
	read := func(name string) string {
		data, err := io.ReadAll(mustOpen(t, f.dir+"/log/"+name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	logged := func(status string) {
		t.Helper()
		eventually(t, "a line with status "+status, func() bool { return strings.Contains(read("usher.log"), `"status":`+status) })
	}
	logged("200")
	mustRename(t, f.dir+"/log/usher.log", f.dir+"/log/old.log")
	if err := g.Reload(f.load(t, text)); err != nil {
		t.Fatal(err)
	}
	r.client(t, "h1", "tls", "a.test.example").get(t, "own.test.example", "/").want(t, 421, "")
	logged("421")
	if old := read("old.log"); strings.Contains(old, `"status":421`) {
		t.Errorf("old log %q", old)
	}
}
