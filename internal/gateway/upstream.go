package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/usher-http/usher/internal/gateway/config"
)

// An upstream passes requests on to a set of equal servers.
type upstream struct {
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

const (
	upstreamIdle       = 90 * time.Second
	upstreamIdlePerURL = 256
)

func newUpstream(in *config.Upstream, t config.Timeouts) *upstream {
	dialer := &net.Dialer{Timeout: t.Connect, KeepAlive: 30 * time.Second}
	secured := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: in.SNI, // empty: the transport puts the URL's host there
		RootCAs:    in.CAs,
	}
	if in.Certificate != nil {
		secured.Certificates = []tls.Certificate{*in.Certificate}
	}
	u := &upstream{transport: &http.Transport{
		// No proxy from the environment: what is in the file is what is asked.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        secured,
		TLSHandshakeTimeout:    t.Connect,
		ResponseHeaderTimeout:  t.FirstByte,
		MaxResponseHeaderBytes: 1 << 20,
		MaxIdleConnsPerHost:    upstreamIdlePerURL,
		IdleConnTimeout:        upstreamIdle,
		DisableCompression:     true, // the client's Accept-Encoding is what counts
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second},
	}}
	u.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      newRotation(in.URLs, u.transport),
		BufferPool:     buffers,
		ErrorLog:       log.New(io.Discard, "", 0), // what it would say is in the access log: aborted
		ModifyResponse: refuseMisdirected,
		ErrorHandler:   upstreamFailed,
	}
	return u
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

func (u *upstream) serve(x *exchange, r *http.Request, _ *route) {
	x.ordinary = true
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	if ctx.Value(http.ServerContextKey) == nil {
		// HTTP/3: without it ReverseProxy ends a response that its upstream broke off as if it were complete.
		ctx = context.WithValue(ctx, http.ServerContextKey, new(http.Server))
	}
	u.proxy.ServeHTTP(x, r.WithContext(ctx))
}

// misdirectedError is an upstream's own 421: an answer about our connection to it. It never goes to the client, who could
// do nothing about it but come back.
type misdirectedError struct{ server string }

func (e *misdirectedError) Error() string { return "the upstream " + e.server + " answered 421" }

const misdirectedCure = "the upstream takes the connection for one that is not made for this host: set the upstream's sni to a " +
	"name that it serves, or add the host to its sites"

func refuseMisdirected(res *http.Response) error {
	if res.StatusCode == http.StatusMisdirectedRequest {
		return &misdirectedError{res.Request.URL.Host}
	}
	return nil
}

// upstreamFailed answers for an upstream that did not.
func upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	x := w.(*exchange)
	kind, status := classify(x, r, err)
	m := x.entry.gateway.metrics
	m.upstreamErrors.WithLabelValues(kind).Inc()
	switch kind {
	case "client_gone":
		x.aborted = true
		return
	case "request_body":
		x.Header().Set("Connection", "close")
		x.fail(status)
		return
	}
	attrs := []slog.Attr{
		slog.String("kind", kind),
		slog.String("upstream", x.upstream),
		slog.String("authority", x.request.Host),
		slog.String("error", err.Error()),
	}
	if kind == "misdirected" {
		m.misdirected.Inc()
		attrs = append(attrs, slog.String("cure", misdirectedCure))
	}
	x.rules.logger.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelWarn, "upstream failed", attrs...)
	x.fail(status)
}

func classify(x *exchange, r *http.Request, err error) (kind string, status int) {
	var misdirected *misdirectedError
	var limit net.Error
	fault := x.body.fault()
	switch {
	case fault == http.StatusRequestTimeout: // net/http then takes the client for gone
		return "request_body", fault
	case r.Context().Err() != nil:
		return "client_gone", statusClientGone
	case fault != 0:
		return "request_body", fault
	}
	if errors.As(err, &misdirected) {
		return "misdirected", http.StatusBadGateway
	}
	kind, status = "failed", http.StatusBadGateway
	if errors.As(err, &limit) && limit.Timeout() {
		kind, status = "timeout", http.StatusGatewayTimeout
	}
	var connect *connectError
	if errors.As(err, &connect) {
		kind = "connect"
	}
	return kind, status
}
