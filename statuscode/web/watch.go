package web

import (
	"context"
	"net/http"
	"sync"
)

// Watch makes a misdirected request happen and returns what went over which connection.
type Watch func(ctx context.Context) ([]Step, error)

// A Step is one request on one connection.
type Step struct {
	Connection int    // the same number is the same connection, from 1
	OpenedFor  string // the host that the connection was made for: its SNI
	Protocol   string // HTTP/2
	Method     string
	Authority  string // the host that is asked for
	Path       string
	Status     int
	Reason     string // the server's own word for it, from its log
	Note       string // a sentence for whoever watches
}

// A watcher lets one client watch at a time: each time is a server with its certificates.
type watcher struct {
	watch Watch
	busy  sync.Mutex
}

func newWatcher(w Watch) *watcher {
	if w == nil {
		return nil
	}
	return &watcher{watch: w}
}

// Only pages of the guide may start it.
var sameOrigin = http.NewCrossOriginProtection()

func (g *guide) serveWatch(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead: // what a reload asks for
		w.Header().Set("Location", g.base+"/421#watch")
		w.WriteHeader(http.StatusSeeOther)
		return
	case http.MethodPost:
	default:
		notAllowed(w, r, "GET, HEAD, POST")
		return
	}
	if err := sameOrigin.Check(r); err != nil {
		problem(w, r, http.StatusForbidden, "This can be started from the guide's own pages only.")
		return
	}
	if !g.watch.busy.TryLock() {
		w.Header().Set("Retry-After", "2")
		problem(w, r, http.StatusServiceUnavailable, "Somebody else is watching. Try again in a moment.")
		return
	}
	defer g.watch.busy.Unlock()
	steps, err := g.watch.watch(r.Context())
	if err != nil {
		problem(w, r, http.StatusInternalServerError, "It did not work: "+err.Error())
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	whole(w, r, http.StatusOK, "text/html; charset=utf-8", g.pages.watched(steps))
}
