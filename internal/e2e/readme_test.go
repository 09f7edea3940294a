package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const runMark = "<!-- run -->"

// runnable returns the ```sh blocks that stand directly under a run mark.
func runnable(text string) ([]string, error) {
	var blocks []string
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if strings.TrimSpace(lines[i]) != runMark {
			continue
		}
		if i+1 >= len(lines) || strings.TrimSpace(lines[i+1]) != "```sh" {
			return nil, fmt.Errorf("line %d: no ```sh block directly under %s", i+1, runMark)
		}
		begin := i + 2
		for i = begin; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
		}
		if i == len(lines) {
			return nil, fmt.Errorf("line %d: the block has no end", begin)
		}
		blocks = append(blocks, strings.Join(lines[begin:i], "\n"))
	}
	return blocks, nil
}

// TestReadme runs what README.md tells people to run, in a copy of the module. The command that runs the tests is this
// test's own: it is recognised and left out.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("there is no README.md yet")
	}
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := runnable(string(text))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	if len(blocks) == 0 {
		t.Fatalf("README.md has no %s block", runMark)
	}
	dir := t.TempDir()
	if err := copyModule(dir, "../.."); err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks {
		t.Run(strings.TrimSpace(block), func(t *testing.T) {
			if strings.Contains(block, "go test") || strings.Contains(block, "make test") {
				t.Skip("the command that runs the tests is the one that runs this one")
			}
			const building = 5 * time.Minute // all of the module is compiled anew, since it is in another folder
			out, errs, code := commandWithin(t, building, dir, "", "sh", "-e", "-c", block)
			if code != 0 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// copyModule copies what belongs to the module: what git knows or would add.
func copyModule(to, from string) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	out, err := list.Output()
	if err != nil {
		// No git, or none of its folders: a module that was downloaded.
		return os.CopyFS(to, os.DirFS(from))
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and git does not know yet
		}
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if info, err := os.Stat(filepath.Join(from, name)); err == nil {
			mode = info.Mode().Perm()
		}
		if err := os.WriteFile(path, data, mode); err != nil {
			return err
		}
	}
	return nil
}

func TestRunnable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text   string
		blocks []string
		fails  bool
	}{
		{"text\n```sh\nnot this\n```\n", nil, false},
		{"<!-- run -->\n```sh\none\ntwo\n```\nand\n  <!-- run -->\n  ```sh\n  three\n  ```\n", []string{"one\ntwo", "  three"}, false},
		{"<!-- run -->\n\n```sh\nnot directly\n```\n", nil, true},
		{"<!-- run -->\n```\nno language\n```\n", nil, true},
		{"<!-- run -->\n```sh\nno end\n", nil, true},
		{"<!-- run -->", nil, true},
	}
	for _, test := range tests {
		blocks, err := runnable(test.text)
		if fmt.Sprint(blocks) != fmt.Sprint(test.blocks) || (err != nil) != test.fails {
			t.Errorf("%q: %q, %v", test.text, blocks, err)
		}
	}
}
