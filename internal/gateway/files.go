package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/usher-http/usher/internal/message"
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

func (a *files) waits() bool { return true }

func (a *files) serve(x *exchange, at *route) {
	r := x.request
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		x.fail(http.StatusMethodNotAllowed, message.Field{Name: "allow", Value: "GET, HEAD"})
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
		a.toFolder(x)
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
	x.serveHTTP(func(w http.ResponseWriter, r *http.Request) { http.ServeContent(w, r, info.Name(), info.ModTime(), f) })
}

// toFolder adds the slash without which relative links in index.html lead astray. The path is clean: it does not begin
// with two slashes, which would name another host.
func (a *files) toFolder(x *exchange) {
	to := url.URL{Path: x.path + "/"}
	_, to.RawQuery, _ = strings.Cut(x.request.Target, "?")
	x.ordinary = true
	x.whole(http.StatusMovedPermanently, append(x.answer(), message.Field{Name: "location", Value: to.String()}), "0", nil)
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
