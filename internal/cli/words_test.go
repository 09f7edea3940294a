package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/gateway/demo"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"json", "json", 0}, {"jsn", "json", 1}, {"json", "jsn", 1}, {"jsob", "json", 1}, {"al", "sni", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestSome(t *testing.T) {
	names := []string{"a", "b", "c"}
	for most, want := range map[int]string{0: "a, b, c", 1: "a and 2 more", 2: "a, b and 1 more", 3: "a, b, c"} {
		if got := some(names, most); got != want {
			t.Errorf("%d: %q, want %q", most, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{&ExitError{Code: 2}, 2},
		{fmt.Errorf("wrapped: %w", &ExitError{Code: 2}), 2},
		{config.Errors{{Message: "x"}}, 2},
		{usageError("", "x"), 2},
	} {
		if got := ExitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// TestPaint: no colours but on a terminal, whoever asks.
func TestPaint(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &session{env: []string{"TERM=xterm"}}
	if s.paint(f).colours || s.paint(new(bytes.Buffer)).colours || s.paint(&watched{f, nil}).colours {
		t.Error("colours in a file")
	}
	if got := (palette{true}).bad("x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := (palette{}).bad("x"); got != "x" {
		t.Errorf("%q", got)
	}
}

func TestGetenv(t *testing.T) {
	s := &session{env: []string{"NO_COLOR=", "TERM=dumb", "TERM=xterm", "TERMINAL=x"}}
	for name, want := range map[string]string{"NO_COLOR": "", "TERM": "xterm", "MISSING": ""} {
		if got := s.getenv(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestWatched(t *testing.T) {
	called := 0
	off := func() { called++ }
	fmt.Fprint(&watched{new(bytes.Buffer), off}, "x")
	if called != 0 {
		t.Error("called off without a reason")
	}
	fmt.Fprint(&watched{broken{}, off}, "x")
	if called != 1 {
		t.Error("not called off")
	}
}

// TestDemoUnexpected: an answer that is not the expected one is named, and is exit code 1.
func TestDemoUnexpected(t *testing.T) {
	var out bytes.Buffer
	s := &session{stdout: &out}
	o := demoObject{Address: "127.0.0.1:8443", Exchanges: []demo.Exchange{
		{Chapter: "one", Protocol: "h2", OpenedFor: "blog.localhost", Method: "GET", Authority: "api.localhost:8443", Path: "/orders",
			Status: 200, Reason: "ok", Want: "421 certificate_mismatch"},
	}}
	s.printDemo(o, time.Second)
	for _, want := range []string{"200 ok, expected 421 certificate_mismatch\n", "1 request in 1s: 1 answer was not the expected one.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if code := ExitCode(o.exit()); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestVersionOf(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	if v := versionOf(info, true); v.Version != "v1.2.3" || v.Revision != "abc" || v.Time != "2026-01-02T03:04:05Z" || !v.Modified {
		t.Errorf("%+v", v)
	}
	info.Main.Version = "(devel)"
	if v := versionOf(info, true); v.Version != "devel" {
		t.Errorf("%+v", v)
	}
	if v := versionOf(nil, false); v.Version != "devel" || v.Go == "" {
		t.Errorf("%+v", v)
	}
}
