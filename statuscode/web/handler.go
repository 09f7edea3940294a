package web

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/usher-http/usher/statuscode"
)

// Options say how the guide is served. The zero value serves it at the root of a host.
type Options struct {
	// BasePath is where the guide stands, such as /guide; empty for the root.
	BasePath string
	// Watch makes a misdirected request happen and returns what went over which connection. The page about 421 offers it
	// where it is set. It is called for one client at a time.
	Watch Watch
}

// New returns the guide. It answers for every path below the base path, and may be used by many requests at the same time.
func New(o Options) http.Handler {
	base := "/" + strings.Trim(o.BasePath, "/")
	if base == "/" {
		base = ""
	}
	g := &guide{base: base, pages: newRenderer(false, o.Watch != nil), watch: newWatcher(o.Watch), made: map[int]func() []byte{}}
	for _, c := range statuscode.All() {
		g.made[c.Number] = sync.OnceValue(func() []byte { return g.pages.code(c) })
	}
	return http.HandlerFunc(g.serve)
}

type guide struct {
	base  string
	pages *renderer
	made  map[int]func() []byte // the pages of the codes, each made once
	watch *watcher              // nil: nothing to watch
}

// policy is for all pages: everything comes from here, nothing stands in the markup, and nobody frames it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

func (g *guide) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, g.base+"/")
	if !ok {
		if r.URL.Path == g.base {
			g.moved(w, "/")
			return
		}
		notFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if rest, ok := strings.CutPrefix(path, "try/"); ok {
		g.try(w, r, rest)
		return
	}
	if path == "watch" && g.watch != nil {
		g.serveWatch(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notAllowed(w, r, "GET, HEAD")
		return
	}
	switch rest, isAPI := strings.CutPrefix(path, "api/"); {
	case isAPI:
		g.serveAPI(w, r, rest)
	case path == "":
		g.serveList(w, r)
	case asset(path) != nil:
		a := asset(path)
		send(w, r, a.mediaType, a.body)
	default:
		g.servePage(w, r, path)
	}
}

// notFound is for places where the links of the guide's pages, which are relative, would lead nowhere.
func notFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	whole(w, r, http.StatusNotFound, "text/plain; charset=utf-8", []byte("There is no such page in the guide.\n"))
}

func (g *guide) moved(w http.ResponseWriter, to string) {
	w.Header().Set("Location", g.base+to)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusPermanentRedirect)
}

// notAllowed answers to methods that are of no use here. OPTIONS is, and gets the list alone.
func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow+", OPTIONS")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	problem(w, r, http.StatusMethodNotAllowed, "This address takes "+allow+".")
}

func (g *guide) serveList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	html(w, r, http.StatusOK, g.pages.list(q.Get("q"), q.Get("class")))
}

func (g *guide) servePage(w http.ResponseWriter, r *http.Request, path string) {
	if number, ok := strings.CutSuffix(path, "/"); ok && statuscode.Lookup(numberOf(number)) != nil {
		g.moved(w, "/"+number)
		return
	}
	c, err := statuscode.Find(path)
	if err != nil && strings.Contains(path, "/") {
		notFound(w, r)
		return
	}
	if err != nil {
		html(w, r, http.StatusNotFound, g.pages.missing(path, err))
		return
	}
	html(w, r, http.StatusOK, g.made[c.Number]())
}

// numberOf returns the code that s names, or 0.
func numberOf(s string) int {
	c, err := statuscode.Find(s)
	if err != nil {
		return 0
	}
	return c.Number
}

// statusOf is the status for what [statuscode.Find] could not find.
func statusOf(err error) int {
	if errors.Is(err, statuscode.ErrMalformed) {
		return http.StatusBadRequest
	}
	return http.StatusNotFound
}
