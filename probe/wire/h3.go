package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/usher-http/usher/originframe"
)

// The types of streams and frames, RFC 9114 sections 6.2 and 7.2, and two codes of section 8.1.
const (
	controlStream = 0x00
	frameData     = 0x0
	frameHeaders  = 0x1
	frameSettings = 0x4
	frameGoAway   = 0x7

	h3NoError   = 0x100
	h3Cancelled = 0x10c
)

// h3 is the client's side of an HTTP/3 connection. The control stream is read by a goroutine of its own, which ends with the connection.
type h3 struct {
	quic  *quic.Conn
	begun func()        // what came with the first frame of the server's control stream is read, or there is none
	began chan struct{} // closed by it

	mu      sync.Mutex
	goAway  bool
	payload [][]byte // of ORIGIN frames
	ignored int
}

func (c *Conn) openQUIC(ctx context.Context) error {
	qc, err := quic.DialAddr(ctx, c.Dial.Address.String(), c.config(), &quic.Config{
		HandshakeIdleTimeout: c.limits.Connect,
		MaxIdleTimeout:       c.limits.Answer + c.limits.Connect,
		MaxIncomingStreams:   -1, // HTTP/3 servers open none (RFC 9114 section 6.1)
	})
	if err != nil {
		return err
	}
	state := qc.ConnectionState()
	c.learn(state.TLS)
	c.h3 = newH3(qc)
	control, err := qc.OpenUniStream()
	if err == nil {
		_, err = control.Write([]byte{controlStream, frameSettings, 0})
	}
	if err != nil {
		c.h3.close()
		return err
	}
	go c.h3.accept()
	return nil
}

func newH3(qc *quic.Conn) *h3 {
	h := &h3{quic: qc, began: make(chan struct{})}
	h.begun = sync.OnceFunc(func() { close(h.began) })
	return h
}

func (h *h3) close() { h.quic.CloseWithError(h3NoError, "") }

// maxUni is how many streams of its own a server may open before the others are left alone.
const maxUni = 16

func (h *h3) accept() {
	for range maxUni {
		s, err := h.quic.AcceptUniStream(context.Background())
		if err != nil {
			h.begun()
			return
		}
		go h.readUni(s)
	}
}

// readUni reads the server's control stream; those of QPACK carry nothing, since we allow no dynamic table.
func (h *h3) readUni(s *quic.ReceiveStream) {
	r := bufio.NewReaderSize(s, 512)
	kind, err := quicvarint.Read(r)
	if err != nil || kind != controlStream {
		s.CancelRead(h3NoError)
		return
	}
	defer h.begun()
	for range maxFrames {
		kind, payload, err := readFrame(r, originframe.MaxPayload)
		if err != nil {
			return
		}
		h.control(kind, payload)
		if r.Buffered() == 0 {
			h.begun()
		}
	}
}

func (h *h3) control(kind uint64, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kind {
	case frameGoAway:
		h.goAway = true
	case originframe.Type:
		if len(h.payload) < maxOrigins {
			h.payload = append(h.payload, payload)
		}
	}
}

// controlPatience is how long the server's control stream is waited for. Servers have to open it at once (RFC 9114 section 6.2.1), but streams are
// read side by side, and an answer may be read before it.
const controlPatience = time.Second

func (h *h3) origins() ([][]byte, int) {
	select {
	case <-h.began:
	case <-time.After(controlPatience):
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.payload, h.ignored
}

func (h *h3) goingAway() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.goAway
}

func (c *Conn) doH3(ctx context.Context, deadline time.Time, r *Request) Answer {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	s, err := c.h3.quic.OpenStreamSync(ctx)
	if err != nil {
		return failed(err)
	}
	s.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer s.CancelRead(h3Cancelled)
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range r.fields() {
		enc.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	frame := quicvarint.Append(quicvarint.Append(nil, frameHeaders), uint64(block.Len()))
	if _, err := s.Write(append(frame, block.Bytes()...)); err != nil {
		// A server may reject a request without reading all of it (RFC 9114 section 4.1): what it said is on the other half.
		var reset *quic.StreamError
		if !errors.As(err, &reset) {
			return failed(err)
		}
	}
	s.Close()
	a := c.readH3(s)
	a.Closed = a.Closed || c.h3.goingAway() || c.h3.quic.Context().Err() != nil
	return a
}

func (c *Conn) readH3(s *quic.Stream) Answer {
	r := bufio.NewReaderSize(s, 4096)
	var a Answer
	g := newGatherer(c.limits.Body)
	for range maxFrames {
		kind, length, err := readFrameHeader(r)
		switch {
		case err == io.EOF && a.Status != 0:
			g.fill(&a)
			return a
		case err != nil:
			return h3Broken(a, g, err)
		}
		switch kind {
		case frameHeaders:
			if length > uint64(c.limits.Header) {
				return h3Broken(a, g, errHeader)
			}
			err = a.section(r, length, c.limits.Header)
		case frameData:
			var more bool
			more, err = copyContent(g, r, length)
			if err == nil && !more {
				a.Truncated = true
				g.fill(&a)
				return a
			}
		default:
			_, err = io.CopyN(io.Discard, r, int64(min(length, 1<<20)))
		}
		if err != nil {
			return h3Broken(a, g, err)
		}
	}
	return failed(errFlood)
}

// copyContent takes the payload of a DATA frame in, as far as the limit allows.
func copyContent(g *gatherer, r io.Reader, length uint64) (more bool, err error) {
	buf := make([]byte, 4096)
	for length > 0 {
		n, err := r.Read(buf[:min(uint64(len(buf)), length)])
		length -= uint64(n)
		if !g.add(buf[:n]) {
			return false, nil
		}
		if err == io.EOF && length > 0 {
			return false, io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return false, err
		}
	}
	return true, nil
}

// h3Broken is what an error leaves of an answer. A reset harms one stream, everything else the connection.
func h3Broken(a Answer, g *gatherer, err error) Answer {
	f := failed(err)
	f.Closed = f.Failure != Reset
	f.Status, f.Fields = a.Status, a.Fields
	g.fill(&f)
	return f
}

// section reads a field section; the first one with a final status counts, trailers do not.
func (a *Answer) section(r io.Reader, length uint64, limit int) error {
	block := make([]byte, length)
	if _, err := io.ReadFull(r, block); err != nil {
		return noEOF(err)
	}
	var fields [][2]string
	status := 0
	for next, size := qpack.NewDecoder().Decode(block), 0; ; {
		f, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if size += len(f.Name) + len(f.Value) + 32; size > limit {
			return errHeader
		}
		if f.Name == ":status" {
			n, err := strconv.Atoi(f.Value)
			if err != nil || n < 100 || n > 999 {
				return fmt.Errorf("status %q", clip(f.Value, 20))
			}
			status = n
			continue
		}
		fields = append(fields, [2]string{f.Name, f.Value})
	}
	if a.Status == 0 && status >= 200 {
		a.Status, a.Fields = status, fields
	}
	return nil
}

func readFrameHeader(r *bufio.Reader) (kind, length uint64, err error) {
	if _, err := r.Peek(1); err != nil {
		return 0, 0, err // io.EOF between frames is the end
	}
	if kind, err = quicvarint.Read(r); err != nil {
		return 0, 0, noEOF(err)
	}
	length, err = quicvarint.Read(r)
	return kind, length, noEOF(err)
}

func readFrame(r *bufio.Reader, limit uint64) (kind uint64, payload []byte, err error) {
	kind, length, err := readFrameHeader(r)
	if err != nil {
		return 0, nil, err
	}
	if length > limit {
		return 0, nil, errFlood
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	return kind, payload, noEOF(err)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// h3Code is the name of an HTTP/3 error code, RFC 9114 section 8.1.
func h3Code(code uint64) string {
	names := [...]string{"H3_NO_ERROR", "H3_GENERAL_PROTOCOL_ERROR", "H3_INTERNAL_ERROR", "H3_STREAM_CREATION_ERROR",
		"H3_CLOSED_CRITICAL_STREAM", "H3_FRAME_UNEXPECTED", "H3_FRAME_ERROR", "H3_EXCESSIVE_LOAD", "H3_ID_ERROR", "H3_SETTINGS_ERROR",
		"H3_MISSING_SETTINGS", "H3_REQUEST_REJECTED", "H3_REQUEST_CANCELLED", "H3_REQUEST_INCOMPLETE", "H3_MESSAGE_ERROR",
		"H3_CONNECT_ERROR", "H3_VERSION_FALLBACK"}
	if code >= h3NoError && code < h3NoError+uint64(len(names)) {
		return names[code-h3NoError]
	}
	return fmt.Sprintf("code 0x%x", code)
}
