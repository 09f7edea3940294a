package e2e

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
)

// Go's own clients write to the standard logger what they think of frames that they do not know.
func init() { log.SetOutput(io.Discard) }

// A process is the built usher at work.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *transcript
	exited         chan struct{}
	code           int // valid once exited is closed
}

// start runs usher. The process is killed, by its own id, when the test ends; a report of the race detector or a crash
// fails the test.
func start(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	return startCommand(t, dir, exec.Command(testenv.UsherBinary(t), args...))
}

// startCommand is start for a command that becomes usher.
func startCommand(t testing.TB, dir string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{
		cmd:    cmd,
		stdout: newTranscript(),
		stderr: newTranscript(),
		exited: make(chan struct{}),
	}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		for _, text := range []string{p.stdout.text(), p.stderr.text()} {
			if crash.MatchString(text) {
				t.Errorf("the program crashed or raced:\n%s", text)
			}
		}
		if t.Failed() {
			t.Logf("usher %s\nstderr:\n%s\nstdout:\n%s", strings.Join(cmd.Args[1:], " "), p.stderr.text(), tail(p.stdout.text(), 12))
		}
	})
	return p
}

var crash = regexp.MustCompile(`(?m)DATA RACE|^panic: |^fatal error: |^goroutine \d+ \[|"msg":"panic"`)

func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// wait returns the exit code.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.code
	case <-time.After(patience):
		t.Fatal("the process does not end")
		return 0
	}
}

func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// A server is `usher serve`.
type server struct {
	*process
	dir, file string
	address   map[string]string // by the name of the listener
	admin     string
}

// serve starts `usher serve` with a configuration that has an admin listener and named listeners, in a folder that holds
// its other files.
func serve(t testing.TB, dir, config string) *server {
	t.Helper()
	s := &server{dir: dir, file: filepath.Join(dir, "usher.yaml")}
	s.configure(t, config)
	s.process = start(t, dir, "serve", "-c", s.file)
	s.locate(t, 0)
	return s
}

// configure writes the file.
func (s *server) configure(t testing.TB, config string) {
	t.Helper()
	if err := os.WriteFile(s.file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

var servingLine = regexp.MustCompile(`^usher: serving (https?)://(\S+?)(?: "([^"]*)")?: (.*)`)

// locate reads the ports from what the program says when it serves: the line of the admin listener is the last one.
func (s *server) locate(t testing.TB, mark int) {
	t.Helper()
	s.address = map[string]string{}
	s.stderr.await(t, mark, "health and metrics", func(line string) bool {
		m := servingLine.FindStringSubmatch(line)
		if m == nil {
			return false
		}
		if m[3] != "" {
			s.address[m[3]] = m[2]
			return false
		}
		s.admin = m[2]
		return strings.Contains(m[4], "metrics")
	})
}

// at returns the address of a listener.
func (s *server) at(t testing.TB, listener string) string {
	t.Helper()
	a := s.address[listener]
	if a == "" {
		t.Fatalf("no listener %q in %v", listener, s.address)
	}
	return a
}

// port returns the port of a listener.
func (s *server) port(t testing.TB, listener string) string {
	t.Helper()
	a := s.at(t, listener)
	return a[strings.LastIndexByte(a, ':')+1:]
}

// reload has the file read again and waits for the word that it was, or was not.
func (s *server) reload(t testing.TB, signal os.Signal, want string) {
	t.Helper()
	mark := s.stderr.mark()
	s.signal(t, signal)
	s.stderr.awaitText(t, mark, want)
}

// metric is a line of /metrics.
var metric = regexp.MustCompile(`(?m)^([a-z_]+(?:\{[^}]*\})?) (\S+)$`)

// metrics returns the samples whose names begin with prefix, by name and labels.
func (s *server) metrics(t testing.TB, prefix string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := adminClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != 200 {
		t.Fatalf("/metrics: %d, %v", w.StatusCode, err)
	}
	list := map[string]string{}
	for _, m := range metric.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(m[1], prefix) {
			list[m[1]] = m[2]
		}
	}
	return list
}

// adminClient leaves no connection behind: tests watch what is open.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// command runs a program to its end and returns what it printed. It may take as long as the patience.
func command(t testing.TB, dir, stdin, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return commandWithin(t, patience, dir, stdin, name, args...)
}

func commandWithin(t testing.TB, limit time.Duration, dir, stdin, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s %s does not end:\n%s%s", name, strings.Join(args, " "), out.String(), errs.String())
	case err != nil && !errors.As(err, &exit):
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
