package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/originframe"
)

// A wire is a client that sends the frames that it is told to, in one write for what was queued, and keeps all that comes.
type wire struct {
	t     *testing.T
	nc    net.Conn
	queue bytes.Buffer
	out   *http2.Framer // into queue
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
	gone  chan struct{} // closed when nothing more comes

	mu      sync.Mutex
	changed chan struct{}
	noPong  bool // PINGs are not answered
	streams map[uint32]*heard
	order   []string // the kinds of frames, with their streams
	records int      // reads that brought something
	goAways []http2.GoAwayFrame
	pings   int // of the server
	// What the last of them carried.
	pingData [8]byte
	pongs    int
	window   int // WINDOW_UPDATEs of the connection
	err      error
}

// heard is what came on a stream.
type heard struct {
	interim  []string // status and fields
	status   string
	fields   []hpack.HeaderField
	trailers []hpack.HeaderField
	body     []byte
	ended    bool
	reset    *http2.ErrCode
	window   int
}

func (h *heard) value(name string) string { return valueOf(h.fields, name) }

func valueOf(fields []hpack.HeaderField, name string) string {
	var values []string
	for _, f := range fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, "|")
}

// wide lets every stream send as much as tests need. (The connection has a window of its own.)
var wide = http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}

// newWire begins HTTP/2 on a connection.
func newWire(t *testing.T, nc net.Conn, settings ...http2.Setting) *wire {
	c := &wire{t: t, nc: nc, next: 1, gone: make(chan struct{}), changed: make(chan struct{}), streams: map[uint32]*heard{}}
	c.out = http2.NewFramer(&c.queue, nil)
	c.out.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.block)
	c.queue.WriteString(http2.ClientPreface)
	c.out.WriteSettings(settings...)
	c.flush() // before SETTINGS are acknowledged
	go c.hear()
	t.Cleanup(func() {
		nc.Close()
		<-c.gone
	})
	return c
}

// flush sends what is queued in one write: one TLS record, which the server reads at once, if it is no longer than 16 KiB.
func (c *wire) flush() {
	c.t.Helper()
	p := bytes.Clone(c.queue.Bytes())
	c.queue.Reset()
	if _, err := c.nc.Write(p); err != nil {
		c.t.Logf("write: %v", err)
	}
}

// headers queues a header section on a stream.
func (c *wire) headers(id uint32, end bool, pairs ...string) {
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	c.out.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndStream: end, EndHeaders: true})
}

// ask queues a request for the site a on a new stream.
func (c *wire) ask(end bool, method, path string, more ...string) uint32 {
	return c.askFor(end, method, "a.test.example", path, more...)
}

func (c *wire) askFor(end bool, method, host, path string, more ...string) uint32 {
	id := c.next
	c.next += 2
	c.headers(id, end, append([]string{":method", method, ":scheme", "https", ":authority", host, ":path", path}, more...)...)
	return id
}

// get sends a GET.
func (c *wire) get(path string, more ...string) uint32 {
	c.t.Helper()
	id := c.ask(true, "GET", path, more...)
	c.flush()
	return id
}

// data sends content.
func (c *wire) data(id uint32, end bool, p []byte) {
	c.t.Helper()
	for len(p) > 16384 {
		c.out.WriteData(id, false, p[:16384])
		p = p[16384:]
	}
	c.out.WriteData(id, end, p)
	c.flush()
}

// grow queues WINDOW_UPDATEs for a stream and the connection.
func (c *wire) grow(id uint32, n int) {
	c.out.WriteWindowUpdate(0, uint32(n))
	c.out.WriteWindowUpdate(id, uint32(n))
}

type countedReads struct{ c *wire }

func (r countedReads) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	r.c.mu.Lock()
	r.c.records++
	r.c.mu.Unlock()
	return n, err
}

func (c *wire) hear() {
	defer close(c.gone)
	in := http2.NewFramer(nil, &pieces{src: countedReads{c}})
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	answers := http2.NewFramer(c.nc, nil)
	for {
		f, err := in.ReadFrame()
		c.mu.Lock()
		if err != nil {
			c.err = err
		} else {
			c.note(f)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		pong := !c.noPong
		c.mu.Unlock()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				answers.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() && pong {
				answers.WritePing(true, f.Data)
			}
		}
	}
}

// pieces reads as much as there is, which over TLS is a record, and hands it on as it is asked for.
type pieces struct {
	src  io.Reader
	buf  [17 << 10]byte
	left []byte
}

func (p *pieces) Read(q []byte) (int, error) {
	if len(p.left) == 0 {
		n, err := p.src.Read(p.buf[:])
		if n == 0 {
			return 0, err
		}
		p.left = p.buf[:n]
	}
	n := copy(q, p.left)
	p.left = p.left[n:]
	return n, nil
}

func (c *wire) note(f http2.Frame) {
	id := f.Header().StreamID
	kind := f.Header().Type.String()
	if f.Header().Type == originframe.Type {
		kind = "ORIGIN"
	}
	c.order = append(c.order, fmt.Sprintf("%s %d", kind, id))
	h := c.streams[id]
	if h == nil {
		h = new(heard)
		c.streams[id] = h
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		fields := slices.Clone(f.Fields)
		switch status := f.PseudoValue("status"); {
		case status == "":
			h.trailers = fields
		case status[0] == '1':
			h.interim = append(h.interim, status+" "+valueOf(fields, "link"))
		default:
			h.status, h.fields = status, fields
		}
		h.ended = f.StreamEnded()
	case *http2.DataFrame:
		h.body = append(h.body, f.Data()...)
		h.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		code := f.ErrCode
		h.reset = &code
	case *http2.GoAwayFrame:
		c.goAways = append(c.goAways, *f)
	case *http2.PingFrame:
		if f.IsAck() {
			c.pongs++
		} else {
			c.pings++
			c.pingData = f.Data
		}
	case *http2.WindowUpdateFrame:
		if id == 0 {
			c.window += int(f.Increment)
		} else {
			h.window += int(f.Increment)
		}
	}
}

// until waits for what must come. ok is called with the lock held.
func (c *wire) until(what string, ok func() bool) {
	c.t.Helper()
	limit := time.After(patience)
	for {
		c.mu.Lock()
		done, changed, err := ok(), c.changed, c.err
		c.mu.Unlock()
		if done {
			return
		}
		if err != nil {
			c.t.Fatalf("%s did not come before the end: %v; frames %v", what, err, c.order)
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatalf("%s did not come; frames %v", what, c.order)
		}
	}
}

// answer waits for the end of an answer, however it ends, and returns it.
func (c *wire) answer(id uint32) *heard {
	c.t.Helper()
	var h *heard
	c.until("the answer on stream "+strconv.Itoa(int(id)), func() bool {
		h = c.streams[id]
		return h != nil && (h.ended || h.reset != nil)
	})
	return h
}

// want compares an answer: its status, what its content contains, and that it was not reset.
func (c *wire) want(id uint32, status, text string) *heard {
	c.t.Helper()
	h := c.answer(id)
	if h.status != status || !strings.Contains(string(h.body), text) || !h.ended {
		body := h.body[:min(len(h.body), 100)]
		c.t.Errorf("stream %d: got %s %q (%d bytes, ended %v, reset %v), want %s with %q", id, h.status, body, len(h.body), h.ended, h.reset, status, text)
	}
	return h
}

// wantReset waits for RST_STREAM.
func (c *wire) wantReset(id uint32, code http2.ErrCode) *heard {
	c.t.Helper()
	var h *heard
	c.until("RST_STREAM on stream "+strconv.Itoa(int(id)), func() bool { h = c.streams[id]; return h != nil && h.reset != nil })
	if *h.reset != code {
		c.t.Errorf("stream %d was reset with %v, want %v", id, *h.reset, code)
	}
	return h
}

// seen returns a copy of what came on a stream so far.
func (c *wire) seen(id uint32) heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.streams[id]; h != nil {
		return *h
	}
	return heard{}
}

// ping waits until the server has answered a PING: what it sent before has come then.
func (c *wire) ping() {
	c.t.Helper()
	if !c.pinged() {
		c.t.Fatalf("a PING was not answered before the end: %v; frames %v", c.err, c.order)
	}
}

// pinged reports whether the connection did not end before.
func (c *wire) pinged() (answered bool) {
	c.t.Helper()
	c.mu.Lock()
	before := c.pongs
	c.mu.Unlock()
	c.out.WritePing(false, [8]byte{1})
	c.flush()
	c.until("the answer to a PING, or the end", func() bool {
		answered = c.pongs > before
		return answered || c.err != nil
	})
	return answered
}

// ends waits for the end of an answer or of the connection, and reports whether it was that of the answer.
func (c *wire) ends(id uint32) (answered bool) {
	c.t.Helper()
	c.until("an answer, or the end", func() bool {
		h := c.streams[id]
		answered = h != nil && (h.ended || h.reset != nil)
		return answered || c.err != nil
	})
	return answered
}

// wantEnd waits for the end of the connection, and for GOAWAY before it.
func (c *wire) wantEnd(code http2.ErrCode) http2.GoAwayFrame {
	c.t.Helper()
	wait(c.t, "the end of the connection", c.gone)
	if len(c.goAways) == 0 {
		c.t.Fatalf("the connection ended without GOAWAY: %v; frames %v", c.err, c.order)
	}
	last := c.goAways[len(c.goAways)-1]
	if last.ErrCode != code {
		c.t.Errorf("GOAWAY with %v, want %v", last.ErrCode, code)
	}
	if c.err != io.EOF && c.err != io.ErrUnexpectedEOF {
		c.t.Errorf("the connection ended with %v", c.err)
	}
	return last
}

// warm makes requests one at a time until the reader of the connection runs the next that comes alone.
func (c *wire) warm(path string) {
	c.t.Helper()
	for range aloneAfter + 1 {
		c.want(c.get(path), "200", "")
	}
}
