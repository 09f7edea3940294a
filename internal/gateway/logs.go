package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/accesslog"
	"github.com/usher-http/usher/internal/gateway/config"
)

// A target is what log.output names.
type target struct {
	io.Writer
	file *os.File // nil where there is nothing to close
	made bool     // the file was not there before
}

func openTarget(name string, override io.Writer) (target, error) {
	switch {
	case override != nil:
		return target{Writer: lineByLine{override}}, nil
	case name == "stderr":
		return target{Writer: os.Stderr}, nil
	case name == "stdout":
		return target{Writer: os.Stdout}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	}
	if err != nil {
		return target{}, err
	}
	return target{f, f, made}, nil
}

// closer is nil where there is nothing to close.
func (t target) closer() io.Closer {
	if t.file == nil {
		return nil
	}
	return t.file
}

// abandon leaves nothing of a target that was never written to.
func (t target) abandon() {
	if t.file == nil {
		return
	}
	t.file.Close()
	if t.made {
		os.Remove(t.file.Name())
	}
}

// lineByLine has each line written by itself, as writers within the process expect it.
type lineByLine struct{ writer io.Writer }

func (w lineByLine) Write(p []byte) (n int, err error) {
	for line := range bytes.Lines(p) {
		m, err := w.writer.Write(line)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// An accessLog is how one configuration has requests logged. nil: not at all.
type accessLog struct {
	output *output
	level  slog.Level // the lowest that is logged
	text   bool       // else JSON
}

func newAccessLog(o *output, c config.Log) *accessLog {
	if !c.Access {
		return nil
	}
	return &accessLog{output: o, level: c.Level, text: c.Format == "text"}
}

// enabled reports whether lines of that level are written.
func (a *accessLog) enabled(level slog.Level) bool { return a != nil && level >= a.level }

// write writes the line of a request that ended at t, whose level is enabled. Warnings and errors are written at once. l is
// the caller's again when write has returned.
func (a *accessLog) write(t time.Time, level slog.Level, l *accesslog.Line) {
	buf := lineBuffers.Get().(*[]byte)
	if a.text {
		*buf = accesslog.AppendText((*buf)[:0], t, level, l)
	} else {
		*buf = accesslog.AppendJSON((*buf)[:0], t, level, l)
	}
	a.output.gather(*buf, level >= slog.LevelWarn)
	if cap(*buf) <= maxLineBuffer {
		lineBuffers.Put(buf)
	}
}

// Buffers that a long path made larger are not kept.
const maxLineBuffer = 8 << 10

var lineBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, 1<<10)) }}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(accesslog.JSONWriter(w), o))
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
