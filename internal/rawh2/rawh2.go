// Package rawh2 is a small HTTP/2 client for tests that sends what well-behaved clients do not: any pseudo-header
// fields, in any order, for any host, on one connection of the caller's choice. It keeps to the framing of RFC 9113
// and to nothing else.
package rawh2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Conn is the client's side of one HTTP/2 connection. It is for one goroutine: Send sends requests, Receive
// reads frames until a response is complete and keeps what arrives for others. Deadlines are set on the net.Conn.
type Conn struct {
	extensions []Extension
	frames     int // that have been read
	nc         net.Conn
	framer     *http2.Framer
	encoder    *hpack.Encoder
	block      bytes.Buffer
	next       uint32
	streams    map[uint32]*stream
	goAway     *GoAway
}

type stream struct {
	response Response
	done     bool
}

// A Response is what came on one stream.
type Response struct {
	Status int
	Header http.Header // canonical names; trailers too
	Body   []byte
	// Reset is set where the stream was reset before its response ended: the layer below the server's handler answers
	// malformed requests so (RFC 9113 section 8.1.1). Reset after the response's end is none.
	Reset *http2.ErrCode
}

// A GoAway is the server's announcement that the connection ends (RFC 9113 section 6.8).
type GoAway struct {
	LastStreamID uint32
	Code         http2.ErrCode
}

// ErrGone is returned for streams that the server has announced not to serve.
var ErrGone = errors.New("rawh2: the server goes away without serving this stream")

// window is what each stream may send unasked, and the connection too.
const window = 1 << 30

// New begins HTTP/2 on nc, over TLS once ALPN has chosen h2, or in plaintext with prior knowledge.
func New(nc net.Conn) (*Conn, error) {
	c := &Conn{nc: nc, framer: http2.NewFramer(nc, nc), next: 1, streams: map[uint32]*stream{}}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
	); err != nil {
		return nil, err
	}
	return c, c.framer.WriteWindowUpdate(0, window)
}

// Close closes the connection without a word.
func (c *Conn) Close() error { return c.nc.Close() }

// Get returns the fields of a GET request. Further fields are added with append; a pseudo-header field goes before them.
func Get(scheme, authority, path string) []hpack.HeaderField {
	return Fields(":method", "GET", ":scheme", scheme, ":authority", authority, ":path", path)
}

// Fields returns header fields from names and values in turn.
func Fields(pairs ...string) []hpack.HeaderField {
	list := make([]hpack.HeaderField, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return list
}

// Do sends a request and receives its response.
func (c *Conn) Do(fields []hpack.HeaderField, body []byte) (*Response, error) {
	id, err := c.Send(fields, body)
	if err != nil {
		return nil, err
	}
	return c.Receive(id)
}

// Send sends a request on a new stream and returns its number. A nil body ends the request with its header section. The
// body must fit into the server's first flow-control window (65,535 bytes unless the server says otherwise).
func (c *Conn) Send(fields []hpack.HeaderField, body []byte) (uint32, error) {
	id := c.next
	c.next += 2
	c.streams[id] = &stream{response: Response{Header: http.Header{}}}
	c.block.Reset()
	for _, f := range fields {
		if err := c.encoder.WriteField(f); err != nil {
			return 0, err
		}
	}
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID:      id,
		BlockFragment: c.block.Bytes(),
		EndStream:     body == nil,
		EndHeaders:    true,
	})
	if err != nil || body == nil {
		return id, err
	}
	const most = 16384 // SETTINGS_MAX_FRAME_SIZE, unless the server says otherwise
	for len(body) > most {
		if err := c.framer.WriteData(id, false, body[:most]); err != nil {
			return 0, err
		}
		body = body[most:]
	}
	return id, c.framer.WriteData(id, true, body)
}

// Receive reads until the response of a stream is complete or the stream is reset. It may be called once for each stream.
func (c *Conn) Receive(id uint32) (*Response, error) {
	s := c.streams[id]
	if s == nil {
		return nil, fmt.Errorf("rawh2: stream %d is not open", id)
	}
	for !s.done {
		if c.goAway != nil && id > c.goAway.LastStreamID {
			return nil, ErrGone
		}
		if err := c.read(); err != nil {
			return nil, fmt.Errorf("rawh2: stream %d: %w", id, err)
		}
	}
	delete(c.streams, id)
	return &s.response, nil
}

// An Extension is a frame of a type that RFC 9113 does not define.
type Extension struct {
	Type     http2.FrameType
	Flags    http2.Flags
	StreamID uint32
	Payload  []byte
	After    int // how many frames came before it
}

// Extensions returns those that have been read.
func (c *Conn) Extensions() []Extension { return c.extensions }

// GoneAway returns the server's last GOAWAY among the frames that have been read, nil if there was none.
func (c *Conn) GoneAway() *GoAway { return c.goAway }

// WaitGoAway reads until the server goes away. The error is io.EOF where it closes the connection without GOAWAY.
func (c *Conn) WaitGoAway() (*GoAway, error) {
	for c.goAway == nil {
		if err := c.read(); err != nil {
			return nil, err
		}
	}
	return c.goAway, nil
}

// Ping reads until the server has answered a PING: all that it sent before has then been read.
func (c *Conn) Ping() error {
	data := [8]byte{'r', 'a', 'w', 'h', '2'}
	if err := c.framer.WritePing(false, data); err != nil {
		return err
	}
	for {
		f, err := c.readFrame()
		if err != nil {
			return err
		}
		if p, ok := f.(*http2.PingFrame); ok && p.IsAck() && p.Data == data {
			return nil
		}
	}
}

func (c *Conn) read() error {
	_, err := c.readFrame()
	return err
}

func (c *Conn) readFrame() (http2.Frame, error) {
	f, err := c.framer.ReadFrame()
	if err != nil {
		return nil, err
	}
	c.frames++
	return f, c.process(f)
}

// process takes in what has come. That its acknowledgements find nobody is no fault: a server may have closed the connection behind what it
// said, which is to be read all the same. Reading on tells the end.
func (c *Conn) process(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.framer.WritePing(true, f.Data)
		}
	case *http2.UnknownFrame:
		c.extensions = append(c.extensions, Extension{f.Type, f.Flags, f.StreamID, bytes.Clone(f.Payload()), c.frames - 1})
	case *http2.GoAwayFrame:
		c.goAway = &GoAway{f.LastStreamID, f.ErrCode}
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		c.data(f)
	case *http2.RSTStreamFrame:
		if s := c.streams[f.StreamID]; s != nil && !s.done {
			code := f.ErrCode
			s.response.Reset, s.done = &code, true
		}
	}
	return nil
}

func (c *Conn) headers(f *http2.MetaHeadersFrame) error {
	s := c.streams[f.StreamID]
	if s == nil {
		return nil
	}
	if status := f.PseudoValue("status"); status != "" {
		n, err := strconv.Atoi(status)
		if err != nil {
			return fmt.Errorf("rawh2: status %q", status)
		}
		if n < 200 {
			return nil // interim
		}
		s.response.Status = n
	}
	for _, field := range f.RegularFields() {
		s.response.Header.Add(field.Name, field.Value)
	}
	s.done = f.StreamEnded()
	return nil
}

func (c *Conn) data(f *http2.DataFrame) {
	if n := f.Length; n > 0 {
		// The padding counts too (RFC 9113 section 6.9.1).
		c.framer.WriteWindowUpdate(0, n)
	}
	if s := c.streams[f.StreamID]; s != nil {
		s.response.Body = append(s.response.Body, f.Data()...)
		s.done = f.StreamEnded()
	}
}
