package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/originframe"
)

// h2 is the client's side of an HTTP/2 connection with one request at a time. It keeps to the framing of RFC 9113 and to nothing else.
type h2 struct {
	conn    *Conn
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	next    uint32
	began   bool
	goAway  *http2.ErrCode
	last    uint32 // the last stream that the server serves, where goAway is set
	deaf    bool   // the server takes no more
	origins [][]byte
	ignored int
}

func newH2(c *Conn) *h2 {
	h := &h2{conn: c, framer: http2.NewFramer(c.w, c.r), next: 1}
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.framer.SetMaxReadFrameSize(16384) // what every server has to keep to, since we allow no more
	h.framer.MaxHeaderListSize = uint32(c.limits.Header)
	h.encoder = hpack.NewEncoder(&h.block)
	return h
}

// begin writes the preface; it goes out with the first request.
func (h *h2) begin() error {
	if h.began {
		return nil
	}
	h.began = true
	io.WriteString(h.conn.w, http2.ClientPreface)
	if err := h.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(h.conn.limits.Body) + 1},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(h.conn.limits.Header)},
	); err != nil {
		return err
	}
	return h.framer.WriteWindowUpdate(0, uint32(h.conn.limits.Body)+1)
}

func (h *h2) do(r *Request) Answer {
	id, err := h.send(r)
	if err != nil {
		if a, ok := h.lastWords(id); ok {
			return a
		}
		return failed(err)
	}
	return h.receive(id)
}

// lastWords looks for what a server said before it closed the connection on us.
func (h *h2) lastWords(id uint32) (Answer, bool) {
	a := h.receive(id)
	a.Closed = true
	return a, a.Failure != Closed || a.Status != 0
}

func (h *h2) send(r *Request) (uint32, error) {
	id := h.next
	h.next += 2
	if err := h.begin(); err != nil {
		return id, err
	}
	h.block.Reset()
	for _, f := range r.fields() {
		h.encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	err := h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.block.Bytes(), EndStream: true, EndHeaders: true})
	if err != nil {
		return id, err
	}
	return id, h.conn.w.Flush()
}

// An exchange is an answer on its way.
type exchange struct {
	id   uint32
	a    Answer
	g    *gatherer
	done bool

	interim int // 1xx answers
	others  int // frames that are no part of the answer
}

func (h *h2) receive(id uint32) Answer {
	x := &exchange{id: id, g: newGatherer(h.conn.limits.Body)}
	for range maxFrames {
		if x.done {
			x.g.fill(&x.a)
			x.a.Closed = x.a.Closed || h.goAway != nil || h.deaf
			if x.a.Status == 0 && x.a.Failure == "" {
				x.a = failed(errors.New("an answer without a status"))
			}
			return x.a
		}
		if h.goAway != nil && h.last < id {
			return Answer{Failure: Closed, Detail: "GOAWAY " + h.goAway.String(), Closed: true}
		}
		if err := h.step(x); err != nil {
			return h.broken(x, err)
		}
	}
	return failed(errFlood)
}

// broken is what an error leaves of an answer.
func (h *h2) broken(x *exchange, err error) Answer {
	var stream http2.StreamError
	if errors.As(err, &stream) && stream.StreamID == x.id {
		return Answer{Failure: Garbage, Detail: clip(err.Error(), 200), Closed: true}
	}
	a := failed(err)
	if a.Failure == Closed && h.goAway != nil {
		a.Detail = "GOAWAY " + h.goAway.String()
	}
	a.Status, a.Fields = x.a.Status, x.a.Fields // it broke off
	x.g.fill(&a)
	return a
}

func (h *h2) step(x *exchange) error {
	f, err := h.framer.ReadFrame()
	if err != nil {
		return err
	}
	if f.Header().StreamID != x.id {
		if x.others++; x.others > maxOthers {
			return errFlood
		}
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			h.write(h.framer.WriteSettingsAck())
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			h.write(h.framer.WritePing(true, f.Data))
		}
	case *http2.UnknownFrame:
		h.unknown(f)
	case *http2.GoAwayFrame:
		code := f.ErrCode
		h.goAway, h.last = &code, f.LastStreamID
	case *http2.MetaHeadersFrame:
		return x.headers(f)
	case *http2.DataFrame:
		h.data(x, f)
	case *http2.RSTStreamFrame:
		if f.StreamID == x.id {
			x.reset(f.ErrCode)
		}
	}
	return nil
}

// write sends what a call has put into the buffer, or was not able to. A server that closes at once behind its answer resets what is written
// then, and the answer is still there: what has become of it, only reading says.
func (h *h2) write(err error) {
	if err == nil {
		err = h.conn.w.Flush()
	}
	h.deaf = h.deaf || err != nil
}

func (h *h2) unknown(f *http2.UnknownFrame) {
	if f.Type != originframe.Type {
		return
	}
	if !originframe.Accept(byte(f.Type), byte(f.Flags), f.StreamID, originframe.Connection{ALPN: "h2"}) {
		h.ignored++
	} else if len(h.origins) < maxOrigins {
		h.origins = append(h.origins, bytes.Clone(f.Payload()))
	}
}

func (x *exchange) headers(f *http2.MetaHeadersFrame) error {
	if f.StreamID != x.id {
		return nil
	}
	if status := f.PseudoValue("status"); status != "" {
		n, err := strconv.Atoi(status)
		if err != nil || n < 100 || n > 999 {
			return fmt.Errorf("status %q", clip(status, 20))
		}
		if n < 200 {
			if x.interim++; x.interim > maxInterim {
				return errFlood
			}
			return nil
		}
		x.a.Status = n
		for _, field := range f.RegularFields() {
			x.a.Fields = append(x.a.Fields, [2]string{field.Name, field.Value})
		}
	}
	if f.Truncated {
		return errHeader
	}
	x.done = f.StreamEnded()
	return nil
}

func (h *h2) data(x *exchange, f *http2.DataFrame) {
	if n := f.Length; n > 0 {
		// The padding counts too (RFC 9113 section 6.9.1). The stream's window is not refilled: it is the limit.
		h.write(h.framer.WriteWindowUpdate(0, n))
	}
	if f.StreamID != x.id {
		return
	}
	x.done = f.StreamEnded()
	if !x.g.add(f.Data()) {
		x.a.Truncated, x.done = true, true
		if !f.StreamEnded() {
			h.write(h.framer.WriteRSTStream(x.id, http2.ErrCodeCancel))
		}
	}
}

// reset ends the exchange. A reset with NO_ERROR after a whole answer never comes here: the answer had ended.
func (x *exchange) reset(code http2.ErrCode) {
	status, fields := x.a.Status, x.a.Fields
	x.a = streamFailure(code)
	x.a.Status, x.a.Fields = status, fields
	x.done = true
}
