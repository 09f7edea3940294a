package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
)

// log writes the request's line. The query stays out of it: it is where tokens and names are. The handlers of slog
// escape what a client can put into the rest.
func (x *exchange) log(took time.Duration) {
	ctx := context.Background()
	level := slog.LevelInfo
	switch {
	case x.verdict.Reason == authority.NoFacts && x.conn == nil && x.status == 500:
		level = slog.LevelError
	case x.status >= 500:
		level = slog.LevelWarn
	}
	if !x.rules.access || !x.rules.logger.Enabled(ctx, level) {
		return
	}
	r := x.request
	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs,
		slog.String("listener", x.entry.door.name),
		slog.String("proto", x.proto),
		slog.String("remote", x.client.remote),
		slog.String("method", r.Method),
		slog.String("authority", r.Authority),
		slog.String("path", pathOf(r.Target)),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.bytes),
		slog.Float64("duration", took.Seconds()),
		slog.String("verdict", x.verdict.Kind().String()),
		slog.String("reason", x.verdict.Reason.String()),
	)
	if s := x.verdict.Site; s != nil {
		attrs = append(attrs, slog.String("site", s.Name))
	}
	attrs = x.connAttrs(attrs)
	if x.upstream != "" {
		attrs = append(attrs, slog.String("upstream", x.upstream))
	}
	if x.aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	waived := usher.Observed(x.verdict, x.conn)
	if x.verdict.Served() && waived != authority.OK {
		attrs = append(attrs, slog.String("would_refuse", waived.String()), slog.String("cure", usher.Cure(waived)))
	} else if cure := usher.Cure(x.verdict.Reason); !x.verdict.Served() && cure != "" {
		attrs = append(attrs, slog.String("cure", cure))
	}
	x.rules.logger.LogAttrs(ctx, level, "request", attrs...)
}

// pathOf is the target without the query.
func pathOf(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}

// connAttrs tell what the connection's handshake proved.
func (x *exchange) connAttrs(attrs []slog.Attr) []slog.Attr {
	c := x.conn
	if c == nil || !c.Secure {
		return attrs
	}
	return append(attrs,
		slog.String("sni", c.SNI),
		slog.String("handshake_site", c.Site),
		slog.String("tls", versionWord(c.Version)),
		slog.Bool("resumed", c.Resumed),
	)
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
