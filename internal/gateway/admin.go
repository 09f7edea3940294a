package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// An admin is the listener for metrics and health. nil is none: its methods do nothing.
type admin struct {
	gateway *Gateway
	listen  net.Listener
	server  *http.Server
	token   atomic.Pointer[string] // empty: none is wanted
}

func (g *Gateway) bindAdmin(ctx context.Context, c *config.Admin) (*admin, error) {
	if c == nil {
		return nil, nil
	}
	in, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, bindError(fmt.Sprintf("%d:%d: admin listener", c.Line, c.Column), "tcp", c.Address, err)
	}
	return &admin{gateway: g, listen: in}, nil
}

func (a *admin) serve(c *config.Admin) {
	if a == nil {
		return
	}
	a.setToken(c)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "/healthz  whether the gateway runs\n/readyz   whether it takes requests\n/metrics  for Prometheus\n")
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", a.gateway.metrics.handler())
	a.server = &http.Server{
		Handler:           a.protect(mux),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          a.gateway.serverLog("admin"),
	}
	go func() {
		if err := a.server.Serve(a.listen); !errors.Is(err, http.ErrServerClosed) {
			a.gateway.logger().Error("admin listener failed", "error", err.Error())
		}
	}()
}

// ready is for load balancers: from the first moment of a shutdown on they should look elsewhere.
func (a *admin) ready(w http.ResponseWriter, _ *http.Request) {
	if a.gateway.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// protect asks for the token. Where none is configured, a host that is a name from the DNS is refused: a web page could let
// its own name point here, and read everything with its visitor's browser (DNS rebinding).
func (a *admin) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		token := *a.token.Load()
		switch {
		case token == "" && !a.ownHost(r.Host):
			plain(w, http.StatusMisdirectedRequest, "ask for this listener by its address\n")
		case token != "" && !bearer(r, token):
			h.Set("WWW-Authenticate", `Bearer realm="usher"`)
			plain(w, http.StatusUnauthorized, "a token is required\n")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost holds for IP literals, for localhost and names below it, and for the host of the configured address.
func (a *admin) ownHost(host string) bool {
	at, err := authority.Parse(host)
	if err != nil {
		return false
	}
	if _, err := netip.ParseAddr(at.Host()); err == nil {
		return true
	}
	return at.Host() == "localhost" || strings.HasSuffix(at.Host(), ".localhost")
}

// bearer compares digests, so that neither the token nor its length can be told by the time that it takes.
func bearer(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

func (a *admin) setToken(c *config.Admin) {
	if a != nil {
		a.token.Store(&c.Token)
	}
}

func (a *admin) addr() net.Addr {
	if a == nil {
		return nil
	}
	return a.listen.Addr()
}

func (a *admin) close() {
	switch {
	case a == nil:
	case a.server != nil:
		a.server.Close()
	default:
		a.listen.Close()
	}
}
