package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// files serves a folder: what is behind the route's path is looked up in it. Nothing outside of the folder is served,
// be it through a symbolic link. Folders are not listed; their index.html is served. Names that begin with a dot are
// not served, but for .well-known, since they are .git, .env and the like.
type files struct{ root *os.Root }

func newFiles(dir string) (*files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return &files{root}, nil // closed with the last request that uses it, by the garbage collector
}

const indexFile = "index.html"

func (a *files) serve(x *exchange, r *http.Request, at *route) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		x.Header().Set("Allow", "GET, HEAD")
		x.fail(http.StatusMethodNotAllowed)
		return
	}
	name := at.below(x.path)
	isFolder := strings.HasSuffix(x.path, "/")
	name = strings.TrimSuffix(name, "/")
	if hidden(name) {
		x.fail(http.StatusNotFound)
		return
	}
	if name == "" {
		name = "."
	}
	info, err := a.root.Stat(name)
	switch {
	case err != nil:
		x.fail(http.StatusNotFound)
		return
	case info.IsDir() && !isFolder:
		a.toFolder(x, r)
		return
	case info.IsDir():
		name += "/" + indexFile
		info, err = a.root.Stat(name)
	case isFolder:
		x.fail(http.StatusNotFound)
		return
	}
	// Opening a pipe would wait for its other end.
	if err != nil || !info.Mode().IsRegular() {
		x.fail(http.StatusNotFound)
		return
	}
	f, err := a.root.Open(name)
	if err != nil {
		x.fail(http.StatusNotFound)
		return
	}
	defer f.Close()
	x.ordinary = true
	http.ServeContent(x, r, info.Name(), info.ModTime(), f)
}

// toFolder adds the slash without which relative links in index.html lead astray. The path is clean: it does not begin
// with two slashes, which would name another host.
func (a *files) toFolder(x *exchange, r *http.Request) {
	to := url.URL{Path: x.path + "/", RawQuery: r.URL.RawQuery}
	x.ordinary = true
	x.Header().Set("Location", to.String())
	x.Header().Set("Content-Length", "0")
	x.WriteHeader(http.StatusMovedPermanently)
}

func hidden(name string) bool {
	if strings.ContainsAny(name, "\\\x00") {
		return true
	}
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") && segment != ".well-known" {
			return true
		}
	}
	return false
}
