package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// A rotation gives requests to servers in turn. A server that no connection can be made to is passed over for a while;
// the request then goes to the next one, since nothing of it was sent.
type rotation struct {
	transport http.RoundTripper
	servers   []*server
	next      atomic.Uint32
}

type server struct {
	scheme, host string
	downUntil    atomic.Int64 // Unix nanoseconds
}

const passOver = 5 * time.Second

func newRotation(urls []*url.URL, t http.RoundTripper) *rotation {
	ro := &rotation{transport: t}
	for _, u := range urls {
		ro.servers = append(ro.servers, &server{scheme: u.Scheme, host: u.Host})
	}
	return ro
}

// connectError says that no connection was made, so that nothing of the request was sent.
type connectError struct{ cause error }

func (e *connectError) Error() string { return e.cause.Error() }
func (e *connectError) Unwrap() error { return e.cause }

func (ro *rotation) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	var last error
	for i, s := range ro.order() {
		res, err := s.try(ro.transport, r, x)
		var connect *connectError
		if !errors.As(err, &connect) || r.Context().Err() != nil {
			return res, err
		}
		s.downUntil.Store(time.Now().Add(passOver).UnixNano())
		if i+1 < len(ro.servers) {
			x.rules.logger.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelWarn, "upstream failed, the next one is tried",
				slog.String("upstream", s.host), slog.String("error", err.Error()))
		}
		last = err
	}
	return nil, last
}

// order returns the servers beginning with the one whose turn it is; those that are down come last, since they may be up
// again.
func (ro *rotation) order() []*server {
	if len(ro.servers) == 1 {
		return ro.servers
	}
	first := int(ro.next.Add(1)-1) % len(ro.servers)
	now := time.Now().UnixNano()
	up := make([]*server, 0, len(ro.servers))
	var down []*server
	for i := range ro.servers {
		s := ro.servers[(first+i)%len(ro.servers)]
		if s.downUntil.Load() > now {
			down = append(down, s)
		} else {
			up = append(up, s)
		}
	}
	return append(up, down...)
}

func (s *server) try(t http.RoundTripper, r *http.Request, x *exchange) (*http.Response, error) {
	var connected atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	out := r.WithContext(ctx)
	to := *r.URL
	to.Scheme, to.Host = s.scheme, s.host
	out.URL = &to
	if r.Body != nil {
		out.Body = keepOpen{r.Body}
	}
	x.upstream = s.host
	res, err := t.RoundTrip(out)
	if err != nil && !connected.Load() {
		err = &connectError{err}
	}
	return res, err
}

// keepOpen keeps the transport from closing the content of a request that is to be sent to the next server. The
// ReverseProxy closes it in the end.
type keepOpen struct{ io.Reader }

func (keepOpen) Close() error { return nil }
