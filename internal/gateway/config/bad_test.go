package config_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/gateway/config"
)

// Every mistake is told in full, with its place.
func TestBad(t *testing.T) {
	n := golden(t, "testdata/bad.txtar", func(t *testing.T, dir, text string) string {
		l, err := load(t, dir, text)
		if err == nil || l != nil {
			t.Fatalf("Load = %v, %v; want an error and nothing else", l, err)
		}
		checkErrors(t, err, text)
		return anonymous(dir, err.Error()) + "\n"
	})
	if n < 60 {
		t.Errorf("%d bad files, want at least 60", n)
	}
}

// checkErrors checks what holds for every refused file.
func checkErrors(t *testing.T, err error, text string) {
	t.Helper()
	var all config.Errors
	var one *config.Error
	if !errors.As(err, &all) || len(all) == 0 || !errors.As(err, &one) || one != all[0] {
		t.Fatalf("error %v of type %T, want Errors with an Error", err, err)
	}
	lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
		strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
	for i, e := range all {
		if e.Line < 1 || e.Column < 1 || e.Line > lines+1 || e.Message == "" || !strings.HasSuffix(e.File, "usher.yaml") {
			t.Errorf("error %+v has no place in a file of %d lines", *e, lines)
		}
		if i > 0 && (e.Line < all[i-1].Line || e.Line == all[i-1].Line && e.Column < all[i-1].Column) {
			t.Errorf("error %v stands behind %v", e, all[i-1])
		}
		if strings.ContainsAny(e.Message, "\n\r") || strings.ContainsAny(e.Hint, "\n\r") {
			t.Errorf("error %q, hint %q: more than one line", e.Message, e.Hint)
		}
	}
}

func TestErrorPath(t *testing.T) {
	text := "sites:\n- hosts: [shop.example.com]\n  tls: {issuer: local, client_auth: require, client_ca: none.pem}\n  upstream: [http://a, http://b/c]\n"
	_, err := load(t, newFolder(t), text)
	var paths []string
	var all config.Errors
	errors.As(err, &all)
	for _, e := range all {
		paths = append(paths, e.Path)
	}
	if got, want := fmt.Sprint(paths), "[sites[0].tls.client_ca sites[0].upstream[1]]"; got != want {
		t.Errorf("paths %s, want %s", got, want)
	}
}

// Where a path leads does not depend on where whoever reads it stands.
func TestHintNamesTheWholePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	text := "sites:\n- hosts: [shop.example.com]\n  tls: {certificates: [{certificate: none.pem, key: none.key}]}\n  upstream: http://a\n"
	_, err := config.Parse("usher.yaml", []byte(text), config.Options{})
	if want := "this one leads to " + filepath.Join(dir, "none.pem"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestNoFile(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		_, err := config.Load(path, config.Options{})
		var e *config.Error
		if !errors.As(err, &e) || e.File != path || e.Line != 0 || !strings.HasPrefix(err.Error(), path+": cannot read the configuration: ") {
			t.Errorf("Load(%q): %v", path, err)
		}
	}
}

// A few lines of aliases stand for a thousand million URLs. They are refused, and soon.
func TestAliasBomb(t *testing.T) {
	times := func(item string) string { return "[" + strings.Repeat(item+", ", 999) + item + "]" }
	bomb := "sites:\n- &s\n  hosts: [a.example]\n  tls: {issuer: local}\n  routes:\n  - &r\n    path: /\n    upstream: &u " + times("&x http://a") +
		"\n" + strings.Repeat("  - *r\n", 999) + strings.Repeat("- *s\n", 999)
	bomb = strings.ReplaceAll(bomb, "&x http", "http")
	_, err := load(t, t.TempDir(), bomb)
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 1 || all[0].Message != "aliases stand for more than 100000 values" {
		t.Errorf("%d errors: %.300v", len(all), err)
	}
}

func TestHugeFile(t *testing.T) {
	_, err := config.Parse("usher.yaml", make([]byte, 64<<20+1), config.Options{})
	if err == nil || err.Error() != "usher.yaml:1:1: the file is larger than 64 MiB" {
		t.Errorf("error %v", err)
	}
}

func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"[", "{a: ", "- ", "? "} {
		text := "sites: " + strings.Repeat(open, 100_000)
		_, err := config.Parse("usher.yaml", []byte(text), config.Options{})
		if err == nil {
			t.Fatalf("nested %q is no error", open)
		}
		checkErrors(t, err, text)
	}
}
