package gateway

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/message"
)

// An entry is where the requests of a listener come in, whatever the protocol.
type entry struct {
	gateway *Gateway
	door    *door
}

// usherRequest is a request as the guard looks at it.
func usherRequest(r *message.Request) usher.Request {
	return usher.Request{Method: r.Method, Scheme: r.Scheme, Authority: r.Authority, Hosts: r.Hosts, Protocol: r.Protocol, Header: &r.Fields}
}

// admit is the pipeline up to the action: guard, path, route. It answers what goes no further, and returns nil then. The verdict
// is in the exchange already.
func (x *exchange) admit() *route {
	g := x.entry.gateway
	if d := x.entry.door; d.gone.Load() {
		// The table does not know this listener any more.
		if !d.https {
			// A plaintext connection has no facts of its own.
			x.out.Last()
			x.fail(http.StatusServiceUnavailable)
			return nil
		}
		if x.verdict.Served() {
			x.verdict = authority.Answer(authority.WrongListener)
		}
	}
	g.metrics.verdict(x.verdict, x.conn, x.proto)
	if !x.verdict.Served() {
		x.refuse()
		return nil
	}
	if x.verdict.Close {
		// It was told of origins that it may no longer carry: the client should come back on another connection.
		x.out.Last()
	}
	r := x.request
	if r.Method == http.MethodOptions && r.Target == "*" {
		x.whole(http.StatusOK, x.answer(), "0", nil)
		return nil
	}
	path, ok := cleanPath(r.Target)
	if !ok {
		x.fail(http.StatusBadRequest)
		return nil
	}
	x.path = path
	rs, _ := usher.Value(x.verdict).(*routes)
	if rs == nil {
		x.fail(http.StatusInternalServerError)
		return nil
	}
	at := rs.find(path)
	if at == nil {
		x.fail(http.StatusNotFound)
		return nil
	}
	if _, tunnels := at.action.(*upstream); r.Method == http.MethodConnect && (!tunnels || r.Protocol != "websocket") {
		// An extended CONNECT for what is not spoken here (RFC 9220 section 3). A 2xx would say that the tunnel stands.
		x.fail(http.StatusNotImplemented)
		return nil
	}
	return at
}

// end runs when the action has returned or panicked: it is deferred.
func (x *exchange) end() {
	if p := recover(); p != nil {
		x.rules.logger.Error("panic", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		if x.status == 0 {
			x.fail(http.StatusInternalServerError)
		} else {
			x.abort()
		}
	}
	switch {
	case x.status != 0:
	case x.aborted || x.gone.Load():
		x.status = statusClientGone
	default:
		x.fail(http.StatusInternalServerError)
	}
	ended := time.Now()
	x.entry.gateway.metrics.request(x.status, x.proto, ended.Sub(x.started))
	x.log(ended)
}
