package browsers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// Every site has the same certificate. www has the page, img is an ordinary neighbour, pay and till want connections of
// their own, members takes client certificates and staff requires them.
var sites = []string{"www", "img", "pay", "till", "members", "staff"}

// A setting is what differs between gateways.
type setting struct {
	originFrame string // auto, always, never
	protocols   string
	loners      bool // www and img want connections of their own too
	wildcard    bool // the certificate has a wildcard, and literally only the names of www and pay
}

// Settings of most trials: HTTP/2 without ORIGIN frames, with them, and with HTTP/3.
var (
	silent = setting{originFrame: "never", protocols: "h1, h2"}
	frames = setting{originFrame: "auto", protocols: "h1, h2"}
	quick  = setting{originFrame: "auto", protocols: "h1, h2, h3"}
)

// loners is the setting with connections of its own for every site.
func loners(s setting) setting {
	s.loners = true
	return s
}

func (s setting) config(upstream string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
listeners:
  - {name: public, address: "127.0.0.1:0", origin_frame: %s, protocols: [%s]}
log: {output: stdout}
timeouts: {drain: 1s}
state: ./state
sites:
`, s.originFrame, s.protocols)
	for _, site := range sites {
		clients := map[string]string{"members": "optional", "staff": "require"}[site]
		if clients != "" {
			clients = ", client_auth: " + clients + ", client_ca: client-ca.pem"
		}
		fmt.Fprintf(&b, `
  - hosts: [%s]
    upstream: %s
    coalesce: %v
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]%s}
`, site+zone, upstream, !(site == "pay" || site == "till" || s.loners), clients)
	}
	return b.String()
}

// hosts are the names of the shared certificate.
func (s setting) hosts() []string {
	if s.wildcard {
		return []string{"*" + zone, "www" + zone, "pay" + zone}
	}
	var list []string
	for _, s := range sites {
		list = append(list, s+zone)
	}
	return list
}

// A gateway is `usher serve`.
type gateway struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	exited chan struct{}
	ca     *testca.CA
	staff  *testca.CA // of clients
	port   string
}

var servingLine = regexp.MustCompile(`^usher: serving https://127\.0\.0\.1:(\d+) "public": `)

var crash = regexp.MustCompile(`(?m)DATA RACE|^panic: |^fatal error: |"msg":"panic"`)

// serve starts a gateway.
func serve(t testing.TB, s setting, upstream string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{exited: make(chan struct{}), ca: testca.New(t), staff: testca.New(t)}
	g.ca.WriteServer(t, dir, "shared", s.hosts()...)
	g.staff.WriteRoot(t, dir, "client-ca")
	file := filepath.Join(dir, "usher.yaml")
	if err := os.WriteFile(file, []byte(s.config(upstream)), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command(testenv.UsherBinary(t), "serve", "-c", file)
	g.cmd.Stdout = &g.stdout
	g.cmd.WaitDelay = 5 * time.Second
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ports := make(chan string, 1)
	var said bytes.Buffer
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			if m := servingLine.FindStringSubmatch(lines.Text()); m != nil {
				ports <- m[1]
			}
		}
		g.cmd.Wait()
		close(g.exited)
	}()
	t.Cleanup(func() {
		g.cmd.Process.Kill()
		<-g.exited
		if crash.Match(said.Bytes()) || crash.Match(g.stdout.Bytes()) {
			t.Error("the program crashed or raced")
		}
		if t.Failed() {
			t.Logf("usher serve:\n%s%s", said.Bytes(), g.stdout.Bytes())
		}
	})
	select {
	case g.port = <-ports:
	case <-g.exited:
		t.Fatal("the gateway ended")
	case <-time.After(patience):
		t.Fatal("the gateway does not serve")
	}
	return g
}

// A seen request is a line of the access log, as far as these tests look at it.
type seen struct {
	Message   string `json:"msg"`
	Protocol  string `json:"proto"`
	Remote    string `json:"remote"`
	Method    string `json:"method"`
	Authority string `json:"authority"`
	Path      string `json:"path"`
	Status    int    `json:"status"`
	Reason    string `json:"reason"`
	SNI       string `json:"sni"`
}

// finish stops the gateway and returns its log, to which nothing is added any more.
func (g *gateway) finish(t testing.TB) []seen {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.exited:
	case <-time.After(patience):
		t.Fatal("the gateway does not end")
	}
	var list []seen
	for line := range bytes.Lines(g.stdout.Bytes()) {
		var s seen
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("a line of the log is no JSON (%v): %s", err, line)
		}
		if s.Message == "request" {
			list = append(list, s)
		}
	}
	return list
}
