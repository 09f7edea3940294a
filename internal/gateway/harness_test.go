package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/testca"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A folder is where a test's configuration lies, with certificates for *.test.example and single hosts.
type folder struct {
	dir string
	ca  *testca.CA
}

func newFolder(t *testing.T) *folder {
	f := &folder{dir: t.TempDir(), ca: testca.New(t)}
	f.ca.WriteServer(t, f.dir, "shared", "a.test.example", "b.test.example", "c.test.example")
	f.ca.WriteServer(t, f.dir, "own", "own.test.example")
	f.ca.WriteRoot(t, f.dir, "root")
	return f
}

func (f *folder) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *folder) load(t *testing.T, text string) *config.Loaded {
	t.Helper()
	l, err := config.Load(f.write(t, "usher.yaml", text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A running is a gateway under test with its log.
type running struct {
	*Gateway
	folder *folder
	log    *logLines
}

func (f *folder) start(t *testing.T, text string) *running {
	t.Helper()
	return f.startWith(t, text, Options{})
}

func (f *folder) startWith(t *testing.T, text string, o Options) *running {
	t.Helper()
	lines := newLogLines()
	o.Log = lines
	g, err := Start(t.Context(), f.load(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.Shutdown(ctx)
		if t.Failed() {
			t.Logf("log:\n%s", lines.text())
		}
	})
	return &running{g, f, lines}
}

// addr is where the listener is bound, for TCP and UDP alike.
func (r *running) addr(t *testing.T, listener string) string {
	t.Helper()
	for _, a := range r.Addresses() {
		if a.Listener == listener {
			return a.Addr.String()
		}
	}
	t.Fatalf("no listener %q in %v", listener, r.Addresses())
	return ""
}

// A client speaks one protocol to one address, under one SNI.
type client struct {
	http *http.Client
	sni  string
	port string
	open *dials
}

// dials counts the connections that a client has made.
type dials struct {
	mu sync.Mutex
	n  int
}

func (d *dials) add() { d.mu.Lock(); d.n++; d.mu.Unlock() }

func (d *dials) count() int { d.mu.Lock(); defer d.mu.Unlock(); return d.n }

func (r *running) client(t *testing.T, proto, listener, sni string, certs ...tls.Certificate) *client {
	t.Helper()
	addr := r.addr(t, listener)
	_, port, _ := net.SplitHostPort(addr)
	secured := &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: sni, Certificates: certs}
	c := &client{sni: sni, port: port, open: new(dials)}
	var tr http.RoundTripper
	switch proto {
	case "h3":
		h := &http3.Transport{
			TLSClientConfig: secured,
			Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
				c.open.add()
				return quic.DialAddr(ctx, addr, tc, qc)
			},
		}
		t.Cleanup(func() { h.Close() })
		tr = h
	default:
		h := &http.Transport{
			TLSClientConfig:   secured,
			ForceAttemptHTTP2: proto == "h2",
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c.open.add()
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			},
			Protocols: new(http.Protocols),
		}
		h.Protocols.SetHTTP1(proto != "h2")
		h.Protocols.SetHTTP2(proto == "h2")
		t.Cleanup(h.CloseIdleConnections)
		tr = h
	}
	c.http = &http.Client{Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c
}

// request makes a request for host, which goes over the connection made for the client's SNI.
func (c *client) request(t *testing.T, method, host, path string, body io.Reader) *http.Request {
	t.Helper()
	scheme, at := "https", c.sni
	if c.sni == "" {
		scheme, at = "http", "127.0.0.1"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, scheme+"://"+at+":"+c.port+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return req
}

type answer struct {
	*http.Response
	text string
}

func (c *client) do(t *testing.T, req *http.Request) answer {
	t.Helper()
	res, err := c.http.Do(req)
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

func (c *client) get(t *testing.T, host, path string) answer {
	t.Helper()
	return c.do(t, c.request(t, "GET", host, path, nil))
}

func (a answer) want(t *testing.T, status int, text string) answer {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, text) {
		t.Errorf("got %d %q, want %d with %q", a.StatusCode, a.text, status, text)
	}
	return a
}

// logLines collects a JSON log and lets tests wait for lines.
type logLines struct {
	mu      sync.Mutex
	raw     bytes.Buffer
	lines   []map[string]any
	changed chan struct{}
}

func newLogLines() *logLines { return &logLines{changed: make(chan struct{})} }

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw.Write(p)
	var line map[string]any
	if json.Unmarshal(p, &line) == nil {
		l.lines = append(l.lines, line)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw.String()
}

// forget has wait, count and text look at what comes from now on.
func (l *logLines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
	l.raw.Reset()
}

// wait returns the first line whose fields are as wanted, given as name, value, name, value.
func (l *logLines) wait(t *testing.T, want ...string) map[string]any {
	t.Helper()
	limit := time.After(patience)
	for {
		l.mu.Lock()
		changed := l.changed
		for _, line := range l.lines {
			if matches(line, want) {
				l.mu.Unlock()
				return line
			}
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("no line with %q in the log:\n%s", want, l.text())
		}
	}
}

func (l *logLines) count(want ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if matches(line, want) {
			n++
		}
	}
	return n
}

func matches(line map[string]any, want []string) bool {
	for i := 0; i < len(want); i += 2 {
		if fmt.Sprint(line[want[i]]) != want[i+1] {
			return false
		}
	}
	return true
}

// metric returns the value of a series as /metrics would show it; 0 where there is none. labels are "name=value", in any
// order.
func (r *running) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, p := range m.GetLabel() {
				have[p.GetName()] = p.GetValue()
			}
			for _, l := range labels {
				k, v, _ := strings.Cut(l, "=")
				if have[k] != v {
					continue series
				}
			}
			switch {
			case m.Counter != nil:
				return m.Counter.GetValue()
			case m.Gauge != nil:
				return m.Gauge.GetValue()
			case m.Histogram != nil:
				return float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return 0
}

func (r *running) wantMetric(t *testing.T, want float64, name string, labels ...string) {
	t.Helper()
	if got := r.metric(t, name, labels...); got != want {
		t.Errorf("%s%v = %v, want %v", name, labels, got, want)
	}
}

// eventually is for what is counted just after it can be seen from outside.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

// shutdown ends the gateway and returns the result when it comes.
func (r *running) shutdown() <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.Background()) }()
	return done
}

// patiently tries something whose limit of time a slow machine may pass before the test gets to what it is about: try says so, and is called
// again with a longer one.
func patiently(t *testing.T, limit time.Duration, try func(t *testing.T, limit time.Duration) (tested bool)) {
	t.Helper()
	for ; limit < patience; limit *= 4 {
		tested := false
		t.Run(limit.String(), func(t *testing.T) { tested = try(t, limit) })
		if tested || t.Failed() {
			return
		}
	}
	t.Error("the machine is too slow, or it happens whatever the limit is")
}

func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	return v
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	return n
}

// protocols of an https listener.
var protocols = []string{"h1", "h2", "h3"}

// basic is a configuration with two sites on a shared certificate and one on its own.
const basic = `
listeners:
  - {name: tls, address: "127.0.0.1:0", public_ports: [443]}
  - {name: plain, address: "127.0.0.1:0", scheme: http, public_ports: [80]}
sites:
  - name: a
    hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    http: serve
    routes: [{path: /, respond: {body: "site a\n", headers: {x-site: a}}}]
  - name: b
    hosts: [b.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /b, respond: {body: "site b\n"}}]
  - name: own
    hosts: [own.test.example]
    tls: {certificates: [{certificate: own.pem, key: own.key}]}
    routes: [{path: /, respond: {body: "site own\n"}}]
`
