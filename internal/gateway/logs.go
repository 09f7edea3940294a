package gateway

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/usher-http/usher/internal/gateway/config"
)

// An output is where the log goes. Its target can be replaced while others write, so that a reload opens a log file
// anew (after a rotation, say) and no line is lost.
type output struct {
	mu     sync.Mutex
	target io.Writer // nil: nowhere
	closer io.Closer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.target == nil {
		return len(p), nil
	}
	return o.target.Write(p)
}

func (o *output) replace(w io.Writer, c io.Closer) {
	o.mu.Lock()
	old := o.closer
	o.target, o.closer = w, c
	o.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (o *output) close() { o.replace(nil, nil) }

// openOutput opens what log.output names. The closer is nil where there is nothing to close.
func openOutput(name string, override io.Writer) (io.Writer, io.Closer, error) {
	switch {
	case override != nil:
		return override, nil, nil
	case name == "stderr":
		return os.Stderr, nil, nil
	case name == "stdout":
		return os.Stdout, nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	return f, f, nil
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// serverLog returns what net/http writes its complaints to. They are about single clients (bytes that are no TLS, broken
// connections), which anybody can cause at will: they go to debug.
func (g *Gateway) serverLog(listener string) *log.Logger {
	return log.New(serverLog{g, listener}, "", 0)
}

type serverLog struct {
	gateway  *Gateway
	listener string
}

func (s serverLog) Write(p []byte) (int, error) {
	s.gateway.logger().LogAttrs(context.Background(), slog.LevelDebug, "connection",
		slog.String("listener", s.listener), slog.String("error", strings.TrimSpace(string(p))))
	return len(p), nil
}
