package accesslog

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"
)

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 4096)
	at := time.Now()
	for _, f := range formats {
		for name, l := range map[string]*Line{"served": &served, "refused": &refused} {
			b.Run(f.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					at = at.Add(7777 * time.Nanosecond)
					buf = f.append(buf[:0], at, slog.LevelInfo, l)
				}
			})
		}
	}
}

// What slog needs for the same line, as the gateway once asked it.
func BenchmarkSlog(b *testing.B) {
	for name, h := range map[string]slog.Handler{"json": slog.NewJSONHandler(io.Discard, nil), "text": slog.NewTextHandler(io.Discard, nil)} {
		b.Run(name+"/served", func(b *testing.B) {
			logger, l := slog.New(h), &served
			b.ReportAllocs()
			for b.Loop() {
				attrs := make([]slog.Attr, 0, 24)
				attrs = append(attrs,
					slog.String("listener", l.Listener), slog.String("proto", l.Proto), slog.String("remote", l.Remote),
					slog.String("method", l.Method), slog.String("authority", l.Authority), slog.String("path", l.Path),
					slog.Int("status", l.Status), slog.Int64("bytes", l.Bytes), slog.Float64("duration", l.Duration.Seconds()),
					slog.String("verdict", l.Verdict), slog.String("reason", l.Reason), slog.String("site", l.Site),
					slog.String("sni", l.SNI), slog.String("handshake_site", l.HandshakeSite), slog.String("tls", l.TLS),
					slog.Bool("resumed", l.Resumed), slog.String("upstream", l.Upstream))
				logger.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
			}
		})
	}
}
