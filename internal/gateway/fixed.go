package gateway

import (
	"io"
	"net/http"
	"strconv"

	"github.com/usher-http/usher/internal/gateway/config"
)

// respond is a fixed answer, to whatever method.
type respond struct{ config.Respond }

func (a *respond) serve(x *exchange, r *http.Request, _ *route) {
	x.ordinary = true
	h := x.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	if a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		x.WriteHeader(a.Status)
		return
	}
	if h["Content-Type"] == nil && a.Body != "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	x.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		io.WriteString(x, a.Body)
	}
}

// redirect sends clients elsewhere.
type redirect struct{ config.Redirect }

func (a *redirect) serve(x *exchange, _ *http.Request, _ *route) {
	x.ordinary = true
	h := x.Header()
	h.Set("Location", a.To)
	h.Set("Content-Length", "0")
	x.WriteHeader(a.Status)
}
