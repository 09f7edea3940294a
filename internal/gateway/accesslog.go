package gateway

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/accesslog"
)

// log writes the request's line. The query stays out of it: it is where tokens and names are.
func (x *exchange) log(ended time.Time) {
	level := slog.LevelInfo
	switch {
	case x.verdict.Reason == authority.NoFacts && x.conn == nil && x.status == 500:
		level = slog.LevelError
	case x.status >= 500:
		level = slog.LevelWarn
	}
	if !x.rules.access.enabled(level) {
		return
	}
	r := x.request
	line := accesslog.Line{
		Listener:  x.entry.door.name,
		Proto:     x.proto,
		Remote:    x.client.remote,
		Method:    r.Method,
		Authority: r.Authority,
		Path:      pathOf(r.Target),
		Status:    x.status,
		Bytes:     x.bytes,
		Duration:  ended.Sub(x.started),
		Verdict:   x.verdict.Kind().String(),
		Reason:    x.verdict.Reason.String(),
		Upstream:  x.upstream,
		Aborted:   x.aborted,
	}
	if s := x.verdict.Site; s != nil {
		line.Site = s.Name
	}
	setFacts(&line, x.conn)
	if !x.verdict.Served() {
		line.Cure = usher.Cure(x.verdict.Reason)
	} else if waived := usher.Observed(x.verdict, x.conn); waived != authority.OK {
		line.WouldRefuse, line.Cure = waived.String(), usher.Cure(waived)
	}
	x.rules.access.write(ended, level, &line)
}

// setFacts writes what the handshake proved.
func setFacts(l *accesslog.Line, c *authority.Conn) {
	if c != nil && c.Secure {
		l.SNI, l.HandshakeSite, l.TLS, l.Resumed = c.SNI, c.Site, versionWord(c.Version), c.Resumed
	}
}

func versionWord(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return tls.VersionName(v)
}

// pathOf is the target without the query.
func pathOf(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}
