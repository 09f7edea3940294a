package usher

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	if y.out.ClientAuth != tls.NoClientCert && g.current().table.HasSites() {
		return errClientAuth
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
