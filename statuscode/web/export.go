package web

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/usher-http/usher/statuscode"
)

// ErrForeign is the error of [Export] for a folder whose index.html it has not made.
var ErrForeign = errors.New("the folder has an index.html that is not the guide's")

// Export writes the guide as files into a folder, which is made if it is not there: index.html, a page for each code, style sheet
// and script, and the JSON API as api/codes.json and api/codes/421.json. They work from any web server and from a disk. What needs a
// server that answers (the search through the texts, /try) is left out. Files of an older export are replaced, others are
// left alone. It returns how many files it has written.
func Export(dir string) (int, error) {
	if err := ours(filepath.Join(dir, "index.html")); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "api", "codes"), 0o755); err != nil {
		return 0, err
	}
	n := 0
	for name, body := range exported() {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), body, 0o644); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// ours refuses an index.html of somebody else.
func ours(index string) error {
	old, err := os.ReadFile(index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !strings.Contains(string(old), `<meta name="generator" content="usher guide">`):
		return ErrForeign
	}
	return nil
}

// exported returns the files by their names.
func exported() map[string][]byte {
	p := newRenderer(true, false)
	files := map[string][]byte{
		"index.html":     p.list("", ""),
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
