package h3

import (
	"context"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// quic-go's http3 drops :scheme. What it does with every header section, before the handler is called and in the same
// goroutine, is to report it to the connection's qlog trace. That is where :scheme is read; docs/decisions/002-http3-scheme.md
// has the whole story.

type tracerFunc = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace

// tracer returns a quic.Config.Tracer that reads :scheme, and that gives the caller's tracer all that it had without.
func tracer(caller tracerFunc) tracerFunc {
	return func(ctx context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace {
		t := &trace{schemes: schemesOf(ctx)}
		if caller != nil {
			t.caller = caller(ctx, isClient, id)
		}
		return t
	}
}

// A trace is the qlog trace of one connection.
type trace struct {
	schemes   *schemes
	caller    qlogwriter.Trace
	producers atomic.Int32
}

// AddProducer is called by the QUIC connection first, then by http3. The connection has no use for the schemes, and without a
// recorder it does not even build its events: one for every packet.
func (t *trace) AddProducer() qlogwriter.Recorder {
	var caller qlogwriter.Recorder
	if t.caller != nil {
		caller = t.caller.AddProducer()
	}
	if t.producers.Add(1) == 1 {
		return caller
	}
	return &recorder{t.schemes, caller}
}

// A recorder sees the events of http3.
type recorder struct {
	schemes *schemes
	caller  qlogwriter.Recorder
}

func (r *recorder) RecordEvent(e qlogwriter.Event) {
	if r.caller != nil {
		r.caller.RecordEvent(e)
	}
	switch e := e.(type) {
	case qlog.FrameParsed:
		if headers, ok := e.Frame.Frame.(qlog.HeadersFrame); ok {
			r.schemes.read(e.StreamID, headers.HeaderFields)
		}
	case qlog.FrameCreated:
		if _, ok := e.Frame.Frame.(qlog.GoAwayFrame); ok {
			r.schemes.goesAway()
		}
	}
}

func (r *recorder) Close() error {
	if r.caller != nil {
		return r.caller.Close()
	}
	return nil
}
