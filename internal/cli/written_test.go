package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

// A report that nobody can read is no good one, whatever wrote it. What was the matter beside that keeps its code.
func TestOutputThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", `
listeners: [{name: plain, address: "127.0.0.1:0", scheme: http}]
sites: [{hosts: [a.test], http: serve, routes: [{path: /, respond: {status: 204}}]}]
`)
	bad := file("bad.yaml", "mode: 3\n")
	full := errors.New("no space left on device")
	for _, test := range []struct {
		args string
		code int
	}{
		{"check -c " + good, 1},
		{"check --json -c " + good, 1},
		{"check -c " + bad, 2},
		{"explain --listener plain --scheme http --host a.test -c " + good, 1},
		{"version", 1},
		{"help", 1},
		{"check --help", 1},
		{"schema", 1},
		{"status 421", 1},
	} {
		var stderr bytes.Buffer
		err := Run(context.Background(), strings.Fields(test.args), nil, strings.NewReader(""), refusing{full}, &stderr)
		if code := ExitCode(err); code != test.code || stderr.String() != "usher: no space left on device\n" {
			t.Errorf("%s: exit code %d, want %d; said %q", test.args, code, test.code, stderr.String())
		}
		if strings.Contains(test.args, "json") || strings.HasPrefix(test.args, "schema") || strings.HasPrefix(test.args, "status") {
			continue // they look themselves
		}
		stderr.Reset()
		before := ExitCode(Run(context.Background(), strings.Fields(test.args), nil, strings.NewReader(""), io.Discard, &stderr))
		err = Run(context.Background(), strings.Fields(test.args), nil, strings.NewReader(""), refusing{syscall.EPIPE}, &stderr)
		if code := ExitCode(err); code != before || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d for a reader that has left, want %d; said %q", test.args, code, before, stderr.String())
		}
	}
}
