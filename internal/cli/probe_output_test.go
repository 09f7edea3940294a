package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestProbeCannotWrite: exit code 1 says that there are findings. What cannot be written or read is none.
func TestProbeCannotWrite(t *testing.T) {
	dir := t.TempDir()
	report := filepath.Join(dir, "report.jsonl")
	if err := os.WriteFile(report, []byte(`{"type":"summary"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endless := filepath.Join(dir, "names")
	if err := os.WriteFile(endless, bytes.Repeat([]byte("a"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want string
		args []string
	}{
		{"no space left", []string{"probe", "--compare", report, report}},
		{"no space left", []string{"probe", "a.test", "--connect", "::127.0.0.1:1", "--fail-on", "never"}},
		{"token too long", []string{"probe", "--names", endless}},
		{"token too long", []string{"probe", "--bulk", "--names", endless}},
		{"no space left", []string{"probe", "--bulk", "a.test", "--connect", "::127.0.0.1:1", "--target-rate", "0", "--fail-on", "never"}},
		{"no space left", []string{"probe", "--compare", report, report, "--json"}},
	} {
		var errs bytes.Buffer
		err := Run(t.Context(), test.args, nil, nil, fullDisk{}, &errs)
		if ExitCode(err) != exitInvalid || !strings.Contains(errs.String(), test.want) {
			t.Errorf("%q: exit %d, %s", test.args, ExitCode(err), errs.String())
		}
	}
}
