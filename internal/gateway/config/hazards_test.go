package config_test

import (
	"os"
	"path/filepath"
	"testing"
)

// What is legal but surprising is told, each once, and nothing else is.
func TestHazards(t *testing.T) {
	golden(t, "testdata/hazards.txtar", func(t *testing.T, dir, text string) string {
		if err := os.WriteFile(filepath.Join(dir, "open.token"), []byte("s3cret\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := load(t, dir, text)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, h := range l.Hazards {
			out += "[" + string(h.Kind) + "] " + h.Path + "\n" + anonymous(dir, h.String()) + "\n"
		}
		return out
	})
}
