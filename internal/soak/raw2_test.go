package soak

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw2 is a client of HTTP/2 on bare frames: windows of any size that grow by any amount, frames of any size, resets at any
// moment. It sees to it that the gateway keeps to the windows.
type raw2 struct {
	session *session
	nc      *tls.Conn
	rng     *rand.Rand // of the reading goroutine
	grain   int64      // about how much a window grows at a time
	ended   chan struct{}

	mu      sync.Mutex
	changed *sync.Cond // of all below
	out     bytes.Buffer
	frames  *http2.Framer // writes into out
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
	streams map[uint32]*raw2Stream
	given   map[uint32]bool // streams that this side has reset
	failed  error
	closing bool // by this side
	leaving bool // by the gateway

	sendWindow, sendInitial int64 // what the gateway takes: on the connection, on a new stream
	sendFrame               int64
	window, initial         int64    // what this side takes
	resizes                 []resize // those that are not acknowledged yet; some servers acknowledge two at once, so there is one
}

// A resize is a SETTINGS frame that takes windows back: so many bytes from each stream with a lower number than below.
type resize struct {
	by    int64
	below uint32
}

// grained are the limits of a client whose windows may be tiny. Some bytes at a time are enough to see that work: none is to be so
// slow that the gateway gives it up, or to need so many frames for an answer that it is taken for a flood.
func grained(r *rand.Rand) limits {
	return pick(r, []limits{
		{size: 300_000, answer: 30, grains: []int64{1}},
		{size: 300_000, answer: 100, grains: []int64{7}},
		{size: 300_000, answer: 1000, grains: []int64{100}},
		{size: 300_000, answer: 100_000, grains: []int64{3000, 20_000}},
		{size: 300_000, answer: 100_000, grains: []int64{3000, 20_000}},
		{size: 4 << 20, answer: 4 << 20, grains: []int64{65_536, 500_000}},
		{size: 4 << 20, answer: 4 << 20, grains: []int64{65_536, 500_000}},
	})
}

func openRaw2(s *session) (client, error) {
	nc, err := dial(s, pick(s.rng, hosts), "h2")
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(2 * patience))
	c := &raw2{session: s, nc: nc, rng: rand.New(rand.NewPCG(s.seed, 10)), ended: make(chan struct{}), next: 1,
		streams: map[uint32]*raw2Stream{}, given: map[uint32]bool{}, sendWindow: 65535, sendInitial: 65535, sendFrame: 16384, window: 65535}
	c.changed = sync.NewCond(&c.mu)
	c.grain = pick(s.rng, s.limits.grains)
	c.initial = pick(s.rng, []int64{0, 1, c.grain, c.grain, 2 * c.grain, 65535})
	c.frames = http2.NewFramer(&c.out, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	c.encoder.SetMaxDynamicTableSizeLimit(4096)
	table := pick(s.rng, []uint32{0, 100, 4096, 65536})
	frame := pick(s.rng, []uint32{16384, 16385, 100_000})
	io.WriteString(&c.out, http2.ClientPreface)
	c.frames.WriteSettings(http2.Setting{ID: http2.SettingEnablePush},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(c.initial)},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: frame}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: table})
	c.resizes = []resize{{}}
	go c.write()
	go c.read(frame, table)
	return c, nil
}

// write sends what is in the buffer. No other goroutine ever waits for the gateway to read.
func (c *raw2) write() {
	var spare bytes.Buffer
	for {
		c.mu.Lock()
		for c.out.Len() == 0 && c.failed == nil && !c.closing {
			c.changed.Wait()
		}
		if c.failed != nil || c.out.Len() == 0 {
			c.mu.Unlock()
			c.nc.Close()
			return
		}
		spare, c.out = c.out, spare
		c.changed.Broadcast()
		c.mu.Unlock()
		if _, err := c.nc.Write(spare.Bytes()); err != nil {
			c.fail(err)
		}
		spare.Reset()
	}
}

func (c *raw2) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *raw2) failLocked(err error) {
	if c.failed == nil {
		c.failed = err
	}
	for _, s := range c.streams {
		s.finish(c.failed)
	}
	c.changed.Broadcast()
}

func (c *raw2) close() {
	c.mu.Lock()
	c.closing = true
	c.changed.Broadcast()
	c.mu.Unlock()
	<-c.ended
}

func (c *raw2) kill() {
	if c.session.seed%2 == 0 {
		setLinger(c.nc, 0)
	}
	c.nc.NetConn().Close()
}

// read takes frames until the connection ends.
func (c *raw2) read(frame, table uint32) {
	defer close(c.ended)
	frames := http2.NewFramer(io.Discard, c.nc)
	frames.SetMaxReadFrameSize(frame)
	frames.ReadMetaHeaders = hpack.NewDecoder(table, nil)
	for {
		f, err := frames.ReadFrame()
		if err == nil {
			c.mu.Lock()
			err = c.process(f)
			c.changed.Broadcast()
			c.mu.Unlock()
		}
		if err != nil {
			c.fail(err)
			return
		}
		if chance(c.rng, 0.01) {
			time.Sleep(time.Duration(c.rng.IntN(3_000_000)))
		}
	}
}

func (c *raw2) process(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.frames.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.sendWindow += int64(f.Increment)
		} else if s := c.streams[f.StreamID]; s != nil {
			s.sendWindow += int64(f.Increment)
		}
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.RSTStreamFrame:
		return c.reset(f)
	case *http2.GoAwayFrame:
		return c.goAway(f)
	case *http2.PushPromiseFrame:
		return c.wrong("PUSH_PROMISE")
	}
	return nil
}

// goAway: whatever is under way goes on, and nothing new is begun (RFC 9113 section 6.8). The gateway has no reason for it as long as
// there are requests: what befalls one of them is no fault of its neighbours.
func (c *raw2) goAway(f *http2.GoAwayFrame) error {
	if f.ErrCode != http2.ErrCodeNo {
		return c.wrong("GOAWAY %v %q", f.ErrCode, f.DebugData())
	}
	if !c.leaving && len(c.streams) > 0 && c.session.run.goAways.Add(1) == 1 {
		c.session.run.broke(c.session.String(), "HTTP/2: the gateway ends a connection with %d requests under way", len(c.streams))
	}
	c.leaving = true
	for _, s := range c.streams {
		if s.number > f.LastStreamID {
			s.gone.Store(true) // it was refused, and could be sent again elsewhere
			s.sendOver = true
			s.finish(errGone)
			c.given[s.number] = true
		}
	}
	return nil
}

// wrong notes what the gateway must not do to a connection.
func (c *raw2) wrong(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	c.session.run.broke(c.session.String(), "HTTP/2: %v", err)
	return err
}

func (c *raw2) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return c.resized()
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			for _, stream := range c.streams {
				stream.sendWindow += int64(s.Val) - c.sendInitial
			}
			c.sendInitial = int64(s.Val)
		case http2.SettingMaxFrameSize:
			c.sendFrame = int64(s.Val)
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSizeLimit(s.Val)
		}
		return nil
	})
	return errors.Join(err, c.frames.WriteSettingsAck())
}

// resized: the gateway has applied the oldest of the resizes.
func (c *raw2) resized() error {
	if len(c.resizes) == 0 {
		return c.wrong("SETTINGS acknowledged that were not sent")
	}
	r := c.resizes[0]
	c.resizes = c.resizes[1:]
	for _, s := range c.streams {
		if s.number >= r.below || r.by == 0 {
			continue
		}
		if s.window -= r.by; s.window > 0 || s.over {
			continue
		}
		if err := s.grow(); err != nil {
			return err
		}
	}
	return nil
}

// resize changes the window of all streams. What it takes back counts from the acknowledgement on (RFC 9113 section 6.9.2).
func (c *raw2) resize() error {
	size := max(1, c.grain/2+c.rng.Int64N(c.grain))
	by := size - c.initial
	c.initial = size
	for _, s := range c.streams {
		s.window += max(by, 0)
	}
	c.resizes = append(c.resizes, resize{max(-by, 0), c.next})
	return c.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(size)})
}

// stream finds a stream that may still get frames; nil: its frames do not count any more.
func (c *raw2) stream(id uint32, what string) (*raw2Stream, error) {
	s := c.streams[id]
	if s == nil && !c.given[id] && c.failed == nil { // once the connection is given up, all of its streams are
		return nil, c.wrong("%s on stream %d, which is not open", what, id)
	}
	return s, nil
}

func (c *raw2) headers(f *http2.MetaHeadersFrame) error {
	s, err := c.stream(f.StreamID, "HEADERS")
	if s == nil || err != nil {
		return err
	}
	h := http.Header{}
	for _, field := range f.RegularFields() {
		h.Add(field.Name, field.Value)
	}
	s.headers(f.PseudoValue("status"), h, f.StreamEnded())
	return nil
}

func (c *raw2) data(f *http2.DataFrame) error {
	c.window -= int64(f.Length)
	if c.window < 0 {
		return c.wrong("%d bytes more than the window of the connection", -c.window)
	}
	s, err := c.stream(f.StreamID, "DATA")
	if err != nil {
		return err
	}
	if s != nil {
		if s.window -= int64(f.Length); s.window < 0 && f.Length > 0 {
			return c.wrong("%d bytes more than the window of stream %d", -s.window, f.StreamID)
		}
		s.data(f.Data(), f.StreamEnded())
	}
	return c.grow(s)
}

// grow gives windows back: at some time, some amount, but never nothing for ever.
func (c *raw2) grow(s *raw2Stream) error {
	if c.window <= 0 || c.window < 1<<29 && chance(c.rng, 0.2) { // it must not overflow (RFC 9113 section 6.9.1)
		n := -min(c.window, 0) + 1 + c.rng.Int64N(4*c.grain)
		c.window += n
		if err := c.frames.WriteWindowUpdate(0, uint32(n)); err != nil {
			return err
		}
	}
	if s != nil && !s.over && (s.window <= 0 || s.window < 1<<29 && chance(c.rng, 0.2)) {
		if err := s.grow(); err != nil {
			return err
		}
	}
	if len(c.resizes) == 0 && chance(c.rng, 0.002) {
		return c.resize()
	}
	return nil
}

func (c *raw2) reset(f *http2.RSTStreamFrame) error {
	s := c.streams[f.StreamID]
	if s == nil {
		return nil // it may have crossed the end of the request
	}
	s.sendOver, s.ended = true, true
	// After a complete answer it says that the rest of the request is of no use (RFC 9113 section 8.1).
	s.finish(fmt.Errorf("the stream was reset: %v", f.ErrCode))
	c.forget(s)
	return nil
}

// forget takes a stream out that is over on both sides.
func (c *raw2) forget(s *raw2Stream) {
	if c.streams[s.number] == s {
		delete(c.streams, s.number)
	}
}
