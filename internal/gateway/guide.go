package gateway

import (
	"net/http"
	"strings"

	"github.com/usher-http/usher/statuscode/web"
)

// guide shows the guide to HTTP status codes on a site. Nothing is to be watched there: that is for who has started it for themselves.
type guide struct{ pages http.Handler }

func newGuide(path string) *guide {
	return &guide{web.New(web.Options{BasePath: strings.TrimSuffix(path, "/")})}
}

func (a *guide) waits() bool { return true }

func (a *guide) serve(x *exchange, _ *route) {
	x.ordinary = true
	x.serveHTTP(a.pages.ServeHTTP)
}
