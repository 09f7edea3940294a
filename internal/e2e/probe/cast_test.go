package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/report"
)

// The cast: one, two and staff share a certificate, and staff requires client certificates; blog has a certificate of its own; a and b
// are covered by a wildcard.
var names = []string{"one.test", "two.test", "staff.test", "blog.test", "a.wild.test", "b.wild.test"}

// A cast is a folder with the certificates.
type cast struct {
	dir   string
	ca    *testca.CA
	first string // a host that says whether a server is ready
}

func newCast(t *testing.T) *cast {
	t.Helper()
	c := &cast{t.TempDir(), testca.New(t), names[0]}
	c.ca.WriteRoot(t, c.dir, "ca")
	clients := testca.New(t)
	clients.WriteRoot(t, c.dir, "clients")
	clients.WriteClient(t, c.dir, "me", "me")
	for name, hosts := range map[string][]string{"shared": {"one.test", "two.test", "staff.test"}, "blog": {"blog.test"}, "wild": {"*.wild.test"}} {
		cert, key := c.ca.WriteServer(t, c.dir, name, hosts...)
		c.join(t, name+"-both.pem", cert, key)
		c.join(t, name+"-chain.pem", cert, key, filepath.Join(c.dir, "ca.pem"))
	}
	for _, name := range names {
		c.write(t, filepath.Join("www", name, "index.txt"), content(name))
	}
	c.own(t)
	return c
}

// content is what a host answers with.
func content(name string) string { return "this is " + name + "\n" }

// join puts certificate and key into one file, as HAProxy and lighttpd want them.
func (c *cast) join(t *testing.T, name string, files ...string) {
	t.Helper()
	var all []byte
	for _, file := range files {
		part, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	c.write(t, name, string(all))
}

func (c *cast) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// own lets servers that change their user read the folder.
func (c *cast) own(t *testing.T) {
	t.Helper()
	for dir := c.dir; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// certificateOf is the file name, without its end, of a host's certificate.
func certificateOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".wild.test"):
		return "wild"
	case name == "blog.test":
		return "blog"
	}
	return "shared"
}

// A server is a program at work on a port of loopback.
type server struct {
	*cast
	port string
}

// patience is how long a program may take to start.
const patience = 20 * time.Second

// launch starts a program that listens on the port that make is given. Programs take no socket from their caller: a port that is free now
// may be somebody else's a moment later, so there are several tries.
func (c *cast) launch(t *testing.T, make func(port string) *exec.Cmd) *server {
	t.Helper()
	for range 5 {
		s := &server{c, freePort(t)}
		cmd := make(s.port)
		var out bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.dir, &out, &out, 5*time.Second
		if s.runs(t, cmd) {
			return s
		}
		t.Logf("%s does not serve (%s): %s", cmd.Path, cmd.ProcessState, out.String())
	}
	t.Fatal("it does not start")
	return nil
}

// runs starts a program and reports whether it serves; if not, it has ended.
func (s *server) runs(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: s.first}
	config.RootCAs.AppendCertsFromPEM(pem)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	})
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		// It listens before it is ready, and where somebody else got the port, that one has no certificate of ours.
		if c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", "127.0.0.1:"+s.port, config); err == nil {
			c.Close()
			return true
		}
		select {
		case <-exited:
			return false
		default:
		}
	}
	cmd.Process.Kill()
	<-exited
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

// probe runs usher probe with all names and returns its report and exit code.
func (s *server) probe(t *testing.T, more ...string) (*probe.Report, int) {
	t.Helper()
	args := []string{"probe", "--json", "--ca", "ca.pem", "--connect", "::127.0.0.1:", "--timeout", "1m", "--target-rate", "0", "--concurrency", "4"}
	for _, name := range names {
		args = append(args, name+":"+s.port)
	}
	out, code := run(t, s.dir, testenv.UsherBinary(t), append(args, more...)...)
	r, err := report.Read(strings.NewReader(out))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return r, code
}

// run runs a program to its end and returns its standard output and exit code.
func run(t *testing.T, dir, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Logf("%s %s: %s", name, strings.Join(args, " "), errs.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// lines writes findings as short lines: severity, id, check and kind, protocol, connection > host; without .test and the port.
func lines(r *probe.Report, port string) (list []string) {
	brief := func(name string) string {
		name = strings.TrimSuffix(name, ":"+port)
		return strings.TrimSuffix(name, ".test")
	}
	for _, f := range r.Findings {
		what := string(f.Check)
		if f.Kind != "" && f.Kind != probe.Plain {
			what += "/" + string(f.Kind)
		}
		list = append(list, fmt.Sprintf("%s %s %s %s %s>%s", f.Severity, f.ID, what, f.Protocol, brief(f.Connection), brief(f.Host)))
	}
	slices.Sort(list)
	return list
}
