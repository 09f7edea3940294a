package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/rawh2"
)

// A wire is an HTTP/2 connection of a client that keeps to no rule: it sends whatever frames a test makes, and notes what comes back.
// It may be used by several goroutines. Unless it is deaf, a goroutine reads and gives the server back every window that it uses.
type wire struct {
	net.Conn

	writing sync.Mutex // and what is below
	framer  *http2.Framer
	out     bytes.Buffer
	encoder *hpack.Encoder
	block   bytes.Buffer
	section bool // a header section has begun that has no end

	miser bool          // gives no window back
	over  chan struct{} // closed when nothing is read any more

	mu      sync.Mutex // what has come
	changed chan struct{}
	streams map[uint32]*wireStream
	got     map[http2.FrameType]int
	gone    *rawh2.GoAway
	ended   error // why nothing comes any more
}

// A wireStream is what has come on a stream.
type wireStream struct {
	interim  []int
	status   int
	fields   []hpack.HeaderField
	trailers []hpack.HeaderField
	body     []byte
	end      bool
	reset    *http2.ErrCode // before the end
}

// wire connects to the public listener and begins HTTP/2 with these settings.
func (s *stage) wire(t testing.TB, d dial, settings ...http2.Setting) *wire {
	t.Helper()
	c, err := beginWire(s.at(t, "public"), s.tls(d, "h2"), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go c.read()
	return c
}

// beginWire is a wire that is deaf as long as nobody calls read.
func beginWire(address string, config *tls.Config, settings ...http2.Setting) (*wire, error) {
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	c := &wire{Conn: nc, over: make(chan struct{}), changed: make(chan struct{}), streams: map[uint32]*wireStream{}, got: map[http2.FrameType]int{}}
	c.framer = http2.NewFramer(&c.out, nc)
	c.framer.AllowIllegalWrites = true
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = 1 << 20
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		nc.Close()
		return nil, err
	}
	if err := c.send(func(f *http2.Framer) { f.WriteSettings(settings...) }); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// send sends the frames that build makes, in one write.
func (c *wire) send(build func(f *http2.Framer)) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(build)
}

// reply is send for the reader, which answers in the midst of whatever is sent: within a header section nothing else may be sent (RFC 9113
// section 4.3), so there it says nothing.
func (c *wire) reply(build func(f *http2.Framer)) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.section {
		c.write(build)
	}
}

func (c *wire) write(build func(f *http2.Framer)) error {
	c.out.Reset()
	build(c.framer)
	_, err := c.Write(c.out.Bytes())
	return err
}

// compress is for build functions: the header block of names and values in turn.
func (c *wire) compress(pairs ...string) []byte {
	c.block.Reset()
	for _, f := range rawh2.Fields(pairs...) {
		c.encoder.WriteField(f)
	}
	return bytes.Clone(c.block.Bytes())
}

// request sends a header section in one HEADERS frame.
func (c *wire) request(id uint32, end bool, pairs ...string) error {
	return c.send(func(f *http2.Framer) { c.writeRequest(f, id, end, pairs...) })
}

func (c *wire) writeRequest(f *http2.Framer, id uint32, end bool, pairs ...string) {
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.compress(pairs...), EndStream: end, EndHeaders: true})
}

// beginRequest is for build functions: HEADERS to which CONTINUATION is to follow, for ever.
func (c *wire) beginRequest(f *http2.Framer, id uint32, block []byte) {
	c.section = true
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block})
}

// read notes frames until the connection ends.
func (c *wire) read() {
	defer close(c.over)
	for {
		f, err := c.framer.ReadFrame()
		c.note(f, err)
		var stream http2.StreamError
		if err != nil && !errors.As(err, &stream) {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.reply(func(f *http2.Framer) { f.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if data := f.Data; !f.IsAck() {
				c.reply(func(f *http2.Framer) { f.WritePing(true, data) })
			}
		case *http2.DataFrame:
			if n, id := f.Length, f.StreamID; n > 0 && !c.miser {
				c.reply(func(f *http2.Framer) {
					f.WriteWindowUpdate(0, n)
					f.WriteWindowUpdate(id, n)
				})
			}
		}
	}
}

func (c *wire) note(frame http2.Frame, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
	if err != nil {
		c.ended = err
		return
	}
	c.got[frame.Header().Type]++
	s := c.stream(frame.Header().StreamID)
	switch f := frame.(type) {
	case *http2.GoAwayFrame:
		c.gone = &rawh2.GoAway{LastStreamID: f.LastStreamID, Code: f.ErrCode}
	case *http2.MetaHeadersFrame:
		s.headers(f)
	case *http2.DataFrame:
		s.body = append(s.body, f.Data()...)
		s.end = s.end || f.StreamEnded()
	case *http2.RSTStreamFrame:
		if code := f.ErrCode; !s.end {
			s.reset = &code
		}
	}
}

func (c *wire) stream(id uint32) *wireStream {
	s := c.streams[id]
	if s == nil {
		s = new(wireStream)
		c.streams[id] = s
	}
	return s
}

func (s *wireStream) headers(f *http2.MetaHeadersFrame) {
	status, err := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case err != nil:
		s.trailers = append(s.trailers, f.Fields...)
	case status < 200:
		s.interim = append(s.interim, status)
	default:
		s.status, s.fields = status, append(s.fields, f.RegularFields()...)
	}
	s.end = s.end || f.StreamEnded()
}

// await waits until a stream has ended, however it has, and returns it as it is then.
func (c *wire) await(t testing.TB, id uint32) wireStream {
	t.Helper()
	var s wireStream
	c.until(t, fmt.Sprintf("the end of stream %d", id), func() bool {
		s = *c.stream(id)
		return s.end || s.reset != nil || c.gone != nil && (id > c.gone.LastStreamID || c.gone.Code != http2.ErrCodeNo)
	})
	return s
}

// until waits until something holds that depends on what has come, or nothing comes any more. It holds c.mu meanwhile.
func (c *wire) until(t testing.TB, what string, holds func() bool) (held bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		c.mu.Lock()
		held, ended, changed := holds(), c.ended, c.changed
		c.mu.Unlock()
		if held || ended != nil {
			return held
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// outcome puts the end of a stream into a word or two: "200", "RST_STREAM PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR", "closed"; an answer
// that breaks off has both: "200 RST_STREAM INTERNAL_ERROR".
func (c *wire) outcome(t testing.TB, id uint32) string {
	t.Helper()
	s := c.await(t, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	var words []string
	if s.status != 0 {
		words = append(words, strconv.Itoa(s.status))
	}
	switch {
	case s.end:
	case s.reset != nil:
		words = append(words, "RST_STREAM "+s.reset.String())
	case c.gone != nil:
		words = append(words, "GOAWAY "+c.gone.Code.String())
	default:
		words = append(words, "closed")
	}
	return strings.Join(words, " ")
}

// end says how the connection ended: the GOAWAY's code, or "closed" where none came, or "open" while it has not.
func (c *wire) end() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone != nil:
		return "GOAWAY " + c.gone.Code.String()
	case c.ended != nil:
		return "closed"
	}
	return "open"
}

// count is how many frames of a type have come.
func (c *wire) count(kind http2.FrameType) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[kind]
}
