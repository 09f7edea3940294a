package h3_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	h3qlog "github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/usher-http/usher/internal/rawh3"
)

// events is a qlog trace of the caller's that counts.
type events struct {
	mu                         sync.Mutex
	core, headers, open, total int
}

func (e *events) AddProducer() qlogwriter.Recorder {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open++
	e.total++
	return producer{e}
}

type producer struct{ e *events }

func (p producer) RecordEvent(event qlogwriter.Event) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	switch event := event.(type) {
	case h3qlog.FrameParsed:
		if _, ok := event.Frame.Frame.(h3qlog.HeadersFrame); ok {
			p.e.headers++
		}
	case h3qlog.FrameCreated, h3qlog.StreamTypeSet:
	default:
		p.e.core++
	}
}

func (p producer) Close() error {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	p.e.open--
	return nil
}

// TestTracer: a tracer of the caller's is told all that it was told before, and is closed; one that declines, or that
// has no producers left, does no harm.
func TestTracer(t *testing.T) {
	w := newWorld(t)
	counted := new(events)
	traces := []qlogwriter.Trace{counted, nil, closedTrace{}}
	var mu sync.Mutex
	w.server.QUICConfig = &quic.Config{Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
		mu.Lock()
		defer mu.Unlock()
		next := traces[0]
		traces = traces[1:]
		return next
	}}
	w.serve(t)
	for range 3 {
		c := w.dial(t, w.tls("open.example"))
		wantStatus(t, c, "open.example", 200)
		if res := do(t, c, rawh3.Request("GET", "http", "open.example", "/")); res.Status != 421 {
			t.Errorf("scheme http: %d", res.Status)
		}
		c.Close()
	}
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNoLeak(t)
	counted.mu.Lock()
	defer counted.mu.Unlock()
	if counted.core == 0 || counted.headers != 2 || counted.total < 3 || counted.open != 0 {
		t.Errorf("%d events of the QUIC connection, %d header sections, %d producers, %d of them open",
			counted.core, counted.headers, counted.total, counted.open)
	}
}

// TestGoAwayIsWaitedFor: http3 writes GOAWAY in its own time, on a busy machine long after it was asked to; here a tracer keeps it from it.
func TestGoAwayIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	w.server.QUICConfig = &quic.Config{Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return slowTrace{} }}
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	do(t, c, rawh3.Get("open.example", "/"))
	wantGoAway(t, c)
}

type slowTrace struct{}

func (t slowTrace) AddProducer() qlogwriter.Recorder { return t }
func (slowTrace) Close() error                       { return nil }

func (slowTrace) RecordEvent(event qlogwriter.Event) {
	if created, ok := event.(h3qlog.FrameCreated); ok {
		if _, ok := created.Frame.Frame.(h3qlog.GoAwayFrame); ok {
			time.Sleep(2500 * time.Millisecond) // longer than a connection ever has to be quiet before it is closed
		}
	}
}

type closedTrace struct{}

func (closedTrace) AddProducer() qlogwriter.Recorder { return nil }

// TestQUICConfigForClient: a configuration per client keeps the server's hooks, and an absent one too.
func TestQUICConfigForClient(t *testing.T) {
	for name, own := range map[string]*quic.Config{"own": {Allow0RTT: true}, "none": nil} {
		w := newWorld(t)
		var asked atomic.Bool
		w.server.QUICConfig = &quic.Config{GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) {
			asked.Store(true)
			return own, nil
		}}
		w.serve(t)
		c := w.dial(t, w.tls("open.example"))
		wantStatus(t, c, "open.example", 200)
		if !asked.Load() {
			t.Errorf("%s: not asked", name)
		}
		if res := do(t, c, rawh3.Request("GET", "http", "open.example", "/")); res.Status != 421 {
			t.Errorf("%s: scheme http: %d", name, res.Status)
		}
	}
}
