package gateway

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/usher-http/usher"
)

// An entry is where the requests of a listener come in, whatever the protocol.
type entry struct {
	gateway *Gateway
	door    *door
}

func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.gateway.flights.begin()
	defer e.gateway.flights.end()
	x := &exchange{
		ResponseWriter: w,
		entry:          e,
		rules:          e.gateway.rules.Load(),
		request:        r,
		proto:          protoOf(r),
		started:        time.Now(),
	}
	defer x.end()
	x.serve(r)
	// What is answered here, not by an upstream, is answered without a look at the body. Refuse has seen to its own.
	if x.verdict.Served() && x.status != 0 && x.upstream == "" {
		usher.Settle(x, r)
	}
}

// serve is the pipeline: guard, route, action.
func (x *exchange) serve(r *http.Request) {
	x.watch(r)
	if d := x.entry.door; d.gone.Load() && !d.https {
		// The table knows nothing of this listener any more, and a plaintext connection has no facts of its own.
		x.Header().Set("Connection", "close")
		x.fail(http.StatusServiceUnavailable)
		return
	}
	g := x.entry.gateway
	x.verdict = g.guard.Decide(r)
	x.conn = g.guard.Conn(r)
	g.metrics.verdict(x.verdict, x.conn, x.proto)
	if !x.verdict.Served() {
		g.guard.Refuse(x, r, x.verdict)
		return
	}
	if x.verdict.Close {
		// It was told of origins that it may no longer carry: the client should come back on another connection.
		x.Header().Set("Connection", "close")
	}
	r = g.guard.Admit(r, x.verdict)
	if r.Method == http.MethodOptions && r.RequestURI == "*" {
		x.Header().Set("Content-Length", "0")
		x.WriteHeader(http.StatusOK)
		return
	}
	path, ok := cleanPath(r)
	if !ok {
		x.fail(http.StatusBadRequest)
		return
	}
	x.path = path
	rs, _ := usher.Value(x.verdict).(*routes)
	if rs == nil {
		x.fail(http.StatusInternalServerError)
		return
	}
	at := rs.find(path)
	if at == nil {
		x.fail(http.StatusNotFound)
		return
	}
	at.action.serve(x, r, at)
}

// end runs when the action has returned or panicked.
func (x *exchange) end() {
	switch p := recover(); {
	case p == nil:
	case p == http.ErrAbortHandler:
		x.aborted = true
	default:
		x.rules.logger.Error("panic", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		if x.status == 0 {
			x.fail(http.StatusInternalServerError)
		} else {
			x.aborted = true
		}
	}
	switch {
	case x.status != 0:
	case x.aborted || x.request.Context().Err() != nil:
		x.status = statusClientGone
	default:
		x.WriteHeader(http.StatusOK)
	}
	took := time.Since(x.started)
	x.entry.gateway.metrics.request(x.status, x.proto, took)
	x.log(context.WithoutCancel(x.request.Context()), took)
	if x.aborted {
		panic(http.ErrAbortHandler)
	}
}
