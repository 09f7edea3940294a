package gateway

import (
	"context"
	"io"
	"net/http"
	"testing"
)

// The status of an answer that broke off says nothing of it: who it was, and why, has to stand in the log and in the metrics.
func TestUpstreamThatBreaksOffIsTold(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			r := newFolder(t).start(t, proxied(up))
			c := r.client(t, proto, "tls", "a.test.example")
			if res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/page?q", nil)); err == nil { // a reset may overtake the header section
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			r.log.wait(t, "msg", "upstream broke off", "level", "WARN", "kind", "failed", "upstream", up.Listener.Addr().String(),
				"authority", "a.test.example", "path", "/page", "error", "the upstream closed the connection too early")
			r.log.wait(t, "msg", "request", "status", "200", "aborted", "true")
			r.wantMetric(t, 1, "usher_upstream_errors_total", "kind=failed")
		})
	}
}

// A client that leaves in the middle of an answer, and a gateway that cuts it, are not the upstream's fault.
func TestUpstreamIsNotBlamedForOthers(t *testing.T) {
	for _, who := range []string{"client", "drain"} {
		for _, proto := range protocols {
			t.Run(who+"/"+proto, func(t *testing.T) {
				gone := make(chan struct{})
				up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "half")
					http.NewResponseController(w).Flush()
					<-r.Context().Done()
					close(gone)
				})
				r := newFolder(t).start(t, proxied(up))
				c := r.client(t, proto, "tls", "a.test.example")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/", nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if who == "client" {
					cancel()
				} else {
					cut, cancel := context.WithCancel(t.Context())
					cancel()
					r.Shutdown(cut)
				}
				wait(t, "the end of the upstream's request", gone)
				r.log.wait(t, "msg", "request", "status", "200", "aborted", "true")
				if n := r.log.count("msg", "upstream broke off"); n > 0 {
					t.Error("the upstream is blamed")
				}
				for _, kind := range []string{"failed", "timeout", "connect"} {
					r.wantMetric(t, 0, "usher_upstream_errors_total", "kind="+kind)
				}
			})
		}
	}
}
