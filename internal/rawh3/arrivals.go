package rawh3

import (
	"context"
	"io"
	"math"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// arrivals has a client take notice of the end of its connection only when its readers have what came before: quic-go throws away what was
// received and not yet read when the other side closes, and a server does so a moment after the last of what it sent was acknowledged. A
// goroutine that reads may be later than that on a busy machine. It is a qlog trace: quic-go waits for it before it goes on.
type arrivals struct {
	mu      sync.Mutex
	arrived map[quic.StreamID]int64 // how much has come, an end of the stream counted as one more
	read    map[quic.StreamID]int64 // how much was read, of streams that somebody reads to their end, and later all
}

func newArrivals() *arrivals {
	return &arrivals{arrived: map[quic.StreamID]int64{}, read: map[quic.StreamID]int64{}}
}

// late is how long readers may be behind; one that waits for something else never catches up.
const late = 10 * time.Second

// from reads a stream from its begin, until done is called.
func (a *arrivals) from(id quic.StreamID, r io.Reader) (counted io.Reader, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read[id] += 0
	return &countedReader{a, id, r}, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.read[id] = math.MaxInt64
		delete(a.arrived, id)
	}
}

type countedReader struct {
	a  *arrivals
	id quic.StreamID
	r  io.Reader
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	c.a.read[c.id] += int64(n)
	return n, err
}

// isServers reports whether a stream is one that the server has opened (RFC 9000 section 2.1): all of these are read.
func isServers(id quic.StreamID) bool { return id%4 == 3 }

// behind reports whether something that has come is still to be read.
func (a *arrivals) behind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range a.arrived {
		read, reading := a.read[id]
		if (reading || isServers(id)) && read < n {
			return true
		}
	}
	return false
}

func (a *arrivals) came(id quic.StreamID, end int64, last bool) {
	if last {
		end++
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrived[id] = max(a.arrived[id], end)
}

// AddProducer and the methods below make it a trace.
func (a *arrivals) AddProducer() qlogwriter.Recorder { return a }

func (a *arrivals) Close() error { return nil }

func (a *arrivals) RecordEvent(e qlogwriter.Event) {
	received, ok := e.(qlog.PacketReceived)
	if !ok {
		return
	}
	for _, f := range received.Frames {
		switch f := f.Frame.(type) {
		case *qlog.StreamFrame:
			a.came(f.StreamID, f.Offset+f.Length, f.Fin)
		case *qlog.ResetStreamFrame:
			a.came(f.StreamID, int64(f.FinalSize), true)
		case *qlog.ConnectionCloseFrame:
			for limit := time.Now().Add(late); a.behind() && time.Now().Before(limit); {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// trace puts it into a configuration that has no trace of its own.
func (a *arrivals) trace(config *quic.Config) *quic.Config {
	if config == nil {
		config = new(quic.Config)
	}
	if config.Tracer != nil {
		return config
	}
	config = config.Clone()
	config.Tracer = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return a }
	return config
}
