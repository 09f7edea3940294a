package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// idleLimit is how long the gateway keeps idle connections here. Clients that are slow, but alive, are never as slow as that.
const idleLimit = 8 * time.Second

// A server is `usher serve` with a site for each upstream.
type server struct {
	cmd     *exec.Cmd
	address string // of the TLS listener
	port    string
	admin   string
	pool    *x509.CertPool
	exited  chan struct{}
	log     string // the file

	mu   sync.Mutex
	said []string // the last lines of standard error
}

const configuration = `
listeners:
  - {name: public, address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
log: {output: %q}
timeouts: {idle: %v, body: 20s, connect: 20s, handshake: 20s, header: 20s, first_byte: 60s}
state: ./state
sites:
`

const siteOf = `
  - name: %[1]s
    hosts: [%[1]s]
    tls: {certificates: [{certificate: sites.pem, key: sites.key}]}
    upstream: {urls: ["%[2]s"]%[3]s}
`

// startServer starts the built program. The upstreams have certificates of ca for upstream.test.
func startServer(t testing.TB, ca *testca.CA, upstreams map[string]string, log string) *server {
	t.Helper()
	dir := t.TempDir()
	ca.WriteRoot(t, dir, "ca")
	text := fmt.Sprintf(configuration, log, idleLimit)
	var names []string
	for host, url := range upstreams {
		secured := ""
		if strings.HasPrefix(url, "https:") {
			secured = ", sni: upstream.test, ca: ca.pem"
		}
		text += fmt.Sprintf(siteOf, host, url, secured)
		names = append(names, host)
	}
	ca.WriteServer(t, dir, "sites", names...)
	file := filepath.Join(dir, "usher.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{pool: ca.Pool(), exited: make(chan struct{}), log: log}
	s.start(t, exec.Command(testenv.UsherBinary(t), "serve", "-c", file))
	return s
}

var servingLine = regexp.MustCompile(`^usher: serving https?://(\S+?)(?: "([^"]*)")?: `)

// start runs the program until it serves. It is killed, by its own id, when the test ends.
func (s *server) start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	s.cmd = cmd
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan struct{})
	go func() {
		s.listen(stderr, serving)
		cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-s.exited
		if text := strings.Join(s.said, "\n"); crash.MatchString(text) || t.Failed() {
			t.Errorf("the program has said:\n%s", text)
		}
	})
	select {
	case <-serving:
	case <-s.exited:
		t.Fatalf("the program ends at once:\n%s", strings.Join(s.said, "\n"))
	case <-time.After(time.Minute):
		t.Fatal("the program does not serve")
	}
}

var crash = regexp.MustCompile(`(?m)DATA RACE|^panic: |^fatal error: `)

// listen takes in what the program says, and reads the addresses from it: that of the admin listener comes last.
func (s *server) listen(r io.Reader, serving chan struct{}) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		s.mu.Lock()
		s.said = append(s.said[max(0, len(s.said)-5000):], line)
		s.mu.Unlock()
		m := servingLine.FindStringSubmatch(line)
		switch {
		case m == nil || s.admin != "":
		case m[2] == "public":
			s.address, s.port = m[1], m[1][strings.LastIndexByte(m[1], ':')+1:]
		case strings.Contains(line, "metrics"):
			s.admin = m[1]
			close(serving)
		}
	}
}

var exchangeID = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

// logOf returns what the program has logged of the exchanges that a text names.
func (s *server) logOf(text string) string {
	if s.log == os.DevNull {
		return ""
	}
	file, err := os.Open(s.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	time.Sleep(100 * time.Millisecond) // lines are written together
	ids := exchangeID.FindAllString(text, -1)
	var list []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(lines.Text(), id) }) {
			list = append(list, lines.Text())
		}
	}
	return strings.Join(list, "\n") + "\n"
}

func (s *server) tls(host string, alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: s.pool, ServerName: host, NextProtos: alpn}
}

// reload has the file read again.
func (s *server) reload() error { return s.cmd.Process.Signal(syscall.SIGHUP) }

// metric is a line of /metrics.
var metric = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{([^}]*)\})? (\S+)$`)

// metrics returns the sums of all samples of a name, and those with a label as `name{label="value"}`.
func (s *server) metrics(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	// Nothing is left behind: what is open is counted.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	page, err := io.ReadAll(w.Body)
	if err != nil {
		return nil, err
	}
	list := map[string]float64{}
	for _, m := range metric.FindAllStringSubmatch(string(page), -1) {
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, err
		}
		list[m[1]] += value
		if m[2] != "" {
			list[m[1]+"{"+m[2]+"}"] = value
		}
	}
	return list, nil
}

// A level is what the program holds at a moment.
type level struct {
	goroutines, connections, files int
	rss                            int64 // bytes
}

func (l level) String() string {
	return fmt.Sprintf("%d goroutines, %d connections, %d files, RSS %d MiB", l.goroutines, l.connections, l.files, l.rss>>20)
}

func (s *server) level(ctx context.Context) (level, error) {
	m, err := s.metrics(ctx)
	if err != nil {
		return level{}, err
	}
	l := level{goroutines: int(m["go_goroutines"]), connections: int(m["usher_connections"])}
	proc := fmt.Sprintf("/proc/%d/", s.cmd.Process.Pid)
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		return level{}, err
	}
	l.files = len(files)
	l.rss, err = rssOf(proc + "status")
	return l, err
}

var rssLine = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`)

func rssOf(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	m := rssLine.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no VmRSS in %s", path)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10, err
}

// dump has the program say where its goroutines are, which ends it, and returns how many there are of each kind.
func (s *server) dump() string {
	s.mu.Lock()
	s.said = nil
	s.mu.Unlock()
	s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := map[string]int{}
	for stack := range strings.SplitSeq(strings.Join(s.said, "\n"), "\n\n") {
		if kind := functions(stack); kind != "" && strings.HasPrefix(stack, "goroutine ") {
			kinds[kind]++
		}
	}
	s.said = nil
	var list []string
	for kind, n := range kinds {
		list = append(list, fmt.Sprintf("%5d  %s", n, kind))
	}
	slices.Sort(list)
	slices.Reverse(list) // the most first
	return strings.Join(list, "\n")
}

var calls = regexp.MustCompile(`(?m)^(?:created by )?[\w./%-]*?([\w.-]+\.[\w.()*\[\]]+)(?:\(.*\)| in goroutine \d+)$`)

// functions names those of a stack, the innermost first.
func functions(stack string) string {
	var list []string
	for _, m := range calls.FindAllStringSubmatch(stack, -1) {
		if !strings.HasPrefix(m[1], "runtime.") {
			list = append(list, m[1])
		}
	}
	return strings.Join(list, " < ")
}
