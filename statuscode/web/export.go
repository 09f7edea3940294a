package web

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/usher-http/usher/statuscode"
)

// ErrForeign is the error of [Export] for a folder with a file that it would overwrite and has not made.
var ErrForeign = errors.New("that is not the guide's")

// index is the list, as a file.
const index = "index.html"

// Export writes the guide as files into a folder, which is made if it is not there: index.html, a page for each code, style sheet
// and script, and the JSON API as api/codes.json and api/codes/421.json. They work from any web server and from a disk. What needs a
// server that answers (the search through the texts, /try) is left out. Files of an older export are replaced, others are
// left alone. It returns how many files it has written.
func Export(dir string) (int, error) {
	files := exported()
	if err := foreign(dir, files); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "api", "codes"), 0o755); err != nil {
		return 0, err
	}
	names := slices.Sorted(maps.Keys(files))
	names = slices.Insert(slices.DeleteFunc(names, func(s string) bool { return s == index }), 0, index)
	n := 0
	for _, name := range names { // the index first: it marks the rest as the guide's, if not all of it gets written
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), files[name], 0o644); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// foreign refuses to overwrite what somebody else has made: an index.html without our mark, and beside none of ours anything.
func foreign(dir string, files map[string][]byte) error {
	old, err := os.ReadFile(filepath.Join(dir, index))
	switch {
	case err == nil && strings.Contains(string(old), `<meta name="generator" content="usher guide">`):
		return nil
	case err == nil:
		return fmt.Errorf("the folder has an %s %w", index, ErrForeign)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			return fmt.Errorf("the folder has the file %s %w", name, ErrForeign)
		}
	}
	return nil
}

// exported returns the files by their names.
func exported() map[string][]byte {
	p := newRenderer(true, false)
	files := map[string][]byte{
		index:            p.list("", ""),
		"api/codes.json": encode(briefs(statuscode.All())),
	}
	for name, a := range assets {
		files[name] = a.body
	}
	for _, c := range statuscode.All() {
		files[p.href(c.Number)] = p.code(c)
		files[fmt.Sprintf("api/codes/%d.json", c.Number)] = encode(c.Object())
	}
	return files
}
