package usher

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/net/http2"
)

// ServeTLS serves TLS connections of l with srv, as srv.ServeTLS does, with the hooks of the guard in place: what
// srv lacks of TLSConfig and ConnContext is added, and what it has is called as before. HTTP/2 is served so that the
// guard sees :scheme, and OPTIONS * reaches it. srv.Handler is left alone: it should be guard.Handler(...).
//
// certFile and keyFile may be empty if the configuration or the sites have certificates. The error is never nil.
func (g *Guard) ServeTLS(srv *http.Server, l net.Listener, certFile, keyFile string) error {
	if err := g.Prepare(srv, certFile, keyFile); err != nil {
		return err
	}
	return srv.ServeTLS(l, "", "")
}

// ListenAndServeTLS is ServeTLS on a new TCP listener at srv.Addr (":https" if it is empty).
func (g *Guard) ListenAndServeTLS(srv *http.Server, certFile, keyFile string) error {
	addr := srv.Addr
	if addr == "" {
		addr = ":https"
	}
	if err := g.Prepare(srv, certFile, keyFile); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	return srv.ServeTLS(l, "", "")
}

// Prepare does what ServeTLS does before it serves. A server is prepared once; later calls, as for further listeners, do
// nothing and do not read the files. srv.TLSConfig is afterwards a configuration of this server alone.
func (g *Guard) Prepare(srv *http.Server, certFile, keyFile string) error {
	g.setup.Lock()
	defer g.setup.Unlock()
	y := g.layerFor(srv)
	if y.server == srv {
		return nil
	}
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("usher: %w", err)
		}
		y.out.Certificates = []tls.Certificate{cert}
	} else if !g.hasCertificates(y) {
		return errors.New("usher: there is no certificate: give files, or put certificates into srv.TLSConfig or Config.Sites")
	}
	srv.TLSConfig = y.out
	if err := g.prepareHTTP2(srv); err != nil {
		return fmt.Errorf("usher: %w", err)
	}
	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		return g.ConnContext(ctx, c)
	}
	// net/http answers OPTIONS * before any handler, and so before the guard.
	srv.DisableGeneralOptionsHandler = true
	y.server = srv
	return nil
}

// layerFor returns the server's own layer. It is not shared with other servers, whose certificates and protocols differ.
func (g *Guard) layerFor(srv *http.Server) *layer {
	base := srv.TLSConfig
	if base == nil {
		base = new(tls.Config)
	}
	y := g.layers.of(base)
	switch {
	case y == nil:
		return g.newLayer(base.Clone(), base.GetConfigForClient, nil)
	case y.server == srv:
		return y
	}
	return g.newLayer(base.Clone(), y.client, y.keys)
}

func (g *Guard) hasCertificates(y *layer) bool {
	if len(y.out.Certificates) > 0 || y.out.GetCertificate != nil || y.client != nil {
		return true
	}
	for s := range g.current().table.All {
		if len(siteOf(s).certificates) > 0 {
			return true
		}
	}
	return false
}

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
	//lint:ignore SA1019 net/http's own HTTP/2 is set up too late to put a handler inside it.
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
