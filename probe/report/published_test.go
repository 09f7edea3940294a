package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe"
)

// valid reports whether documents are what a schema wants, and what is wrong.
func valid(t *testing.T, schema string, documents ...string) (ok bool, words string) {
	t.Helper()
	args := []string{"-assertformat", schema}
	for i, text := range documents {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.Command(testenv.JV(t), args...).CombinedOutput()
	return err == nil, string(out)
}

// What is written is what the published schemas want; each is seen to refuse something.

func TestSARIFSchema(t *testing.T) {
	schema := testenv.SARIFSchema(t)
	for _, r := range []*probe.Report{sample(), {}} {
		var b bytes.Buffer
		if err := SARIF(&b, r, "v1.2.3"); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if ok, words := valid(t, schema, text); !ok {
			t.Errorf("%s\n%s", words, text)
		}
		for _, bad := range []string{strings.Replace(text, `"version": "2.1.0"`, `"version": "2"`, 1), strings.Replace(text, `"driver"`, `"pilot"`, 1)} {
			if ok, _ := valid(t, schema, bad); ok {
				t.Errorf("the schema takes everything:\n%s", bad)
			}
		}
	}
}

func TestJSONSchema(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	schema := filepath.Join("..", "..", filepath.FromSlash(schemaFile))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if ok, words := valid(t, schema, lines...); !ok {
		t.Error(words)
	}
	for _, bad := range []string{`{"type":"host"}`, `{"type":"else"}`, strings.Replace(lines[0], `"client_auth":"none"`, `"client_auth":"some"`, 1)} {
		if ok, _ := valid(t, schema, bad); ok {
			t.Errorf("the schema takes everything: %s", bad)
		}
	}
}
