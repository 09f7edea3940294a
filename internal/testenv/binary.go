package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// UsherBinary builds cmd/usher, once a test process, and returns the path of the program. With the race
// detector on in the test it is on in the program too.
func UsherBinary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return build(root)
})

// build makes the program of the module in root.
func build(root string) (string, error) {
	if err := touchSources(root); err != nil {
		return "", err
	}
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "usher")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	args := []string{"build", "-buildvcs=false", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/usher")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/usher: %w\n%s", err, out)
	}
	return path, nil
}

// moduleRoot returns the folder of go.mod: tests run in the folder of their package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the test's folder")
		}
		dir = parent
	}
}

// buildDir is the folder of the test's own executable when `go test` made that: it is removed after the run.
// No hook of the testing package outlives the tests of a process. For an executable that was made by
// `go test -c` it is a new temporary folder, which stays.
func buildDir() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if dir := filepath.Dir(exe); strings.Contains(dir, "go-build") {
		return os.MkdirTemp(dir, "usher-")
	}
	return os.MkdirTemp("", "usher-test-")
}

// touchSources looks at every source of the module. `go test` keeps results as long as the files that a test
// looked at are unchanged, and cannot see what a program that the test builds is made of.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody is at work in the tree
		}
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") || !entry.Type().IsRegular() {
			return nil
		}
		if _, err := os.Stat(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
