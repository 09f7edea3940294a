package gateway

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/accesslog"
	"github.com/usher-http/usher/internal/message"
)

// The reason of a request that came no further than its header section, since that is no HTTP as it is spoken here: nothing was decided.
const malformedRequest = "malformed_request"

// malformed counts and logs such a request. The line has what is known of it, but for the fields that are filled in here; its status is 0
// where a stream error was all the answer. facts is nil where there are none. It is a line at info whatever the status, so that the log
// takes no more of them than of any other requests: each costs its client a connection over HTTP/1.1, and is paid out of a budget over
// HTTP/2 (see h2.Session.Credit).
func (e *entry) malformed(l *accesslog.Line, facts *usher.Connection, started time.Time) {
	ended := time.Now()
	m := e.gateway.metrics
	m.malformed.of(l.Status, l.Proto).Inc()
	if l.Status != 0 {
		m.request(l.Status, l.Proto, ended.Sub(started))
	}
	access := e.gateway.rules.Load().access
	if !access.enabled(slog.LevelInfo) {
		return
	}
	l.Listener, l.Duration = e.door.name, ended.Sub(started)
	l.Verdict, l.Reason = authority.Malformed.String(), malformedRequest
	if facts != nil {
		_, conn := facts.Decide(&usher.Request{Method: http.MethodGet}) // for the facts alone
		setFacts(l, conn)
	}
	access.write(ended, slog.LevelInfo, l)
}

// malformed is for what the session refuses. The lock is held.
func (c *h2conn) malformed(status int, r *message.Request, reason string) {
	l := accesslog.Line{Proto: "h2", Remote: c.client.remote, Status: status, Error: reason}
	if message.ValidToken(r.Method) {
		l.Method = r.Method
	}
	if message.ValidTarget(r.Target) {
		l.Path = pathOf(r.Target)
	}
	c.server.entry.malformed(&l, c.facts, c.heard)
}

// Malformed is told of a request that was answered with a stream error.
func (c *h2conn) Malformed(r *message.Request, reason string) { c.malformed(0, r, reason) }
