//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPagerInterrupted: Ctrl-C goes to the whole group, and a pager that goes on must find its terminal to itself, so usher outlives it.
func TestPagerInterrupted(t *testing.T) {
	dir := t.TempDir()
	pager, out := filepath.Join(dir, "pager"), filepath.Join(dir, "out")
	if err := os.WriteFile(pager, []byte("#!/bin/sh\nkill -INT $PPID\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &session{env: append(os.Environ(), "PAGER="+pager), stdout: f, stderr: f}
	if !s.through("text\n") {
		t.Error("the pager did not start")
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "text\n" {
		t.Errorf("%q, %v", data, err)
	}
}
