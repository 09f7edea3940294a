package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// recorder is a testing.TB that notes how a test would have ended. Like the real one it stops the goroutine.
type recorder struct {
	testing.TB
	end, text string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end, r.text = "fail", fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end, r.text = "skip", fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestTool(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"there", "there.exe"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, require, end string }{
		{"there", "", ""},
		{"there", "all", ""},
		{"missing", "", "skip"},
		{"missing", "all", "fail"},
		{"missing", "curl, missing", "fail"},
		{"missing", "curl,missing-too", "skip"},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.require, func(t *testing.T) {
			t.Setenv("PATH", dir)
			t.Setenv(RequireVar, test.require)
			r := &recorder{TB: t}
			var path string
			done := make(chan struct{})
			go func() {
				defer close(done)
				path = Tool(r, test.name)
			}()
			<-done
			if r.end != test.end {
				t.Errorf("ended %q (%s), want %q", r.end, r.text, test.end)
			}
			if test.end == "" && filepath.Dir(path) != dir {
				t.Errorf("path %q, want one in %q", path, dir)
			}
			if test.end != "" && !strings.Contains(r.text, test.name) {
				t.Errorf("%q does not name the tool", r.text)
			}
		})
	}
}

func TestBrowser(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"second", "second.exe"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		names        []string
		require, end string
	}{
		{[]string{"first", "second"}, "", ""},
		{[]string{"second"}, "browsers", ""},
		{[]string{"first", "third"}, "", "skip"},
		{[]string{"first", "third"}, "curl", "skip"},
		{[]string{"first", "third"}, "curl,browsers", "fail"},
		{[]string{"first", "third"}, "all", "fail"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.names, " ")+" "+test.require, func(t *testing.T) {
			t.Setenv("PATH", dir)
			t.Setenv(RequireVar, test.require)
			r := &recorder{TB: t}
			var path string
			done := make(chan struct{})
			go func() {
				defer close(done)
				path = Browser(r, test.names...)
			}()
			<-done
			if r.end != test.end {
				t.Errorf("ended %q (%s), want %q", r.end, r.text, test.end)
			}
			if test.end == "" && filepath.Dir(path) != dir {
				t.Errorf("path %q, want one in %q", path, dir)
			}
			if test.end != "" && !strings.Contains(r.text, "first or third") {
				t.Errorf("%q does not name the programs", r.text)
			}
		})
	}
}

// TestBuild builds a program from a module of its own, so that it says nothing about cmd/usher.
func TestBuild(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.test/usher\n\ngo 1.26\n")
	main := filepath.Join(root, "cmd", "usher", "main.go")
	write(t, main, "package main\n\nfunc main() { print(`open the door`) }\n")
	path, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).CombinedOutput()
	if err != nil || string(out) != "open the door" {
		t.Errorf("the program says %q (%v)", out, err)
	}
	info, err := exec.Command("go", "version", "-m", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Contains(string(info), "-race=true"); got != raceEnabled {
		t.Errorf("race detector in the program: %v, in the test: %v", got, raceEnabled)
	}
	write(t, main, "package main\n\nfunc main() { nonsense }\n")
	if _, err := build(root); err == nil || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("error %v, want the compiler's words", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestModuleRoot(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil || !strings.HasPrefix(string(data), "module github.com/usher-http/usher\n") {
		t.Errorf("%q is not the module (%v)", root, err)
	}
	t.Chdir(t.TempDir())
	if root, err := moduleRoot(); err == nil {
		t.Errorf("found a module in %q", root)
	}
}
