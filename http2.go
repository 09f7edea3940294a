//lint:file-ignore SA1019 net/http's own HTTP/2 is set up too late to put a handler inside it, and cannot send ORIGIN frames.

package usher

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/net/http2"
)

// prepareHTTP2 puts a handler inside the HTTP/2 server that sees requests before net/http completes them.
func (g *Guard) prepareHTTP2(srv *http.Server) error {
	if srv.Protocols != nil && !srv.Protocols.HTTP2() {
		return nil
	}
	if srv.TLSNextProto != nil && srv.TLSNextProto["h2"] == nil {
		return nil // the historic way of disabling HTTP/2
	}
	if next := srv.TLSNextProto["h2"]; next != nil {
		// The caller's HTTP/2 server takes a *tls.Conn: there is no place for an ORIGIN frame.
		srv.TLSNextProto["h2"] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
			next(hs, c, newSchemeHandler(h))
		}
		return nil
	}
	if godebug("http2server") == "0" {
		return nil // the way of the operator
	}
	h2 := new(http2.Server)
	if err := http2.ConfigureServer(srv, h2); err != nil {
		return err
	}
	srv.TLSNextProto["h2"] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		inside := newSchemeHandler(h)
		rec := g.record(inside.ctx)
		told := &originConn{Conn: c, frame: func() []byte { return g.originFrame(rec, c.ConnectionState()) }}
		h2.ServeConn(told, &http2.ServeConnOpts{Context: inside.ctx, Handler: inside, BaseConfig: hs})
	}
	return nil
}

// A schemeHandler marks requests whose :scheme is not https. x/net's HTTP/2 server leaves Request.TLS nil for them, and the
// handler behind this one fills it in, so that nobody could tell later.
type schemeHandler struct {
	http.Handler
	ctx context.Context
}

func newSchemeHandler(h http.Handler) *schemeHandler {
	s := &schemeHandler{Handler: h, ctx: context.Background()}
	if b, ok := h.(interface{ BaseContext() context.Context }); ok {
		s.ctx = b.BaseContext()
	}
	return s
}

// BaseContext is how net/http hands the connection's context to the HTTP/2 server.
func (s *schemeHandler) BaseContext() context.Context { return s.ctx }

type schemeKey struct{}

func (s *schemeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// CONNECT has no :scheme (RFC 9113 section 8.5).
	if r.TLS == nil && r.Method != http.MethodConnect {
		r = r.WithContext(context.WithValue(r.Context(), schemeKey{}, "http"))
	}
	s.Handler.ServeHTTP(w, r)
}

// godebug returns a GODEBUG setting as net/http sees it: of the environment, else what the program was built with.
func godebug(name string) (value string) {
	find := func(list string) {
		for setting := range strings.SplitSeq(list, ",") {
			if v, ok := strings.CutPrefix(setting, name+"="); ok {
				value = v
			}
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "DefaultGODEBUG" {
				find(s.Value)
			}
		}
	}
	find(os.Getenv("GODEBUG"))
	return value
}
