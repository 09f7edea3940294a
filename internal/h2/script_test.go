package h2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// A script is what a client sends, good or bad.
type script struct {
	bytes.Buffer
	enc  *hpack.Encoder
	ebuf bytes.Buffer
}

func newScript() *script {
	c := &script{}
	c.enc = hpack.NewEncoder(&c.ebuf)
	return c
}

// raw writes any frame; the length is that of the payload.
func (c *script) raw(kind, flags byte, id uint32, payload ...byte) {
	c.Write(appendHead(nil, len(payload), kind, flags, id))
	c.Write(payload)
}

func (c *script) hello() {
	c.WriteString(clientPreface)
	c.raw(frameSettings, 0, 0)
	c.raw(frameSettings, flagAck, 0)
}

func (c *script) block(pairs ...string) []byte {
	c.ebuf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(c.ebuf.Bytes())
}

// open writes a header section that content follows; ask one that is all.
func (c *script) open(id uint32, pairs ...string) {
	c.raw(frameHeaders, flagEndHeaders, id, c.block(pairs...)...)
}
func (c *script) ask(id uint32, pairs ...string) {
	c.raw(frameHeaders, flagEndHeaders|flagEndStream, id, c.block(pairs...)...)
}
func (c *script) data(id uint32, n int)    { c.raw(frameData, 0, id, make([]byte, n)...) }
func (c *script) dataEnd(id uint32, n int) { c.raw(frameData, flagEndStream, id, make([]byte, n)...) }
func (c *script) number(kind byte, id, n uint32) {
	c.raw(kind, 0, id, binary.BigEndian.AppendUint32(nil, n)...)
}
func (c *script) setting(id uint16, value uint32) {
	c.raw(frameSettings, 0, 0, appendSetting(nil, id, value)...)
}

// priority is the payload of a PRIORITY frame.
func priority(dependsOn uint32) []byte {
	return append(binary.BigEndian.AppendUint32(nil, dependsOn), 15)
}

// An outcome is what a client reads, as far as it has a meaning: the status or the error of each stream, or the error of the
// connection, which makes the rest meaningless.
type outcome struct {
	streams map[uint32]string
	goAway  string
}

func (o *outcome) String() string {
	if o.goAway != "" {
		return o.goAway
	}
	ids := make([]uint32, 0, len(o.streams))
	for id := range o.streams {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var parts []string
	for _, id := range ids {
		parts = append(parts, fmt.Sprintf("%d=%s", id, o.streams[id]))
	}
	return strings.Join(parts, " ")
}

// read takes frames until there are no more.
func (o *outcome) read(wire io.Reader) error {
	o.streams = map[uint32]string{}
	r := http2.NewFramer(nil, wire)
	r.ReadMetaHeaders = hpack.NewDecoder(maxTable, nil)
	for {
		f, err := r.ReadFrame()
		if err != nil {
			return err
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			o.streams[id] += f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			o.streams[id] += fmt.Sprintf("RST(%v)", f.ErrCode)
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				o.goAway = fmt.Sprintf("GOAWAY(%v)", f.ErrCode)
			}
		}
	}
}

// A plainHandler answers 200 when a request is complete.
type plainHandler struct{}

func (plainHandler) Request(st *Stream, r *message.Request) {
	if r.Length == 0 {
		st.Respond(200, nil, true)
	}
}
func (plainHandler) TooLarge(st *Stream)                { st.Respond(431, nil, true) }
func (plainHandler) Malformed(*message.Request, string) {}
func (plainHandler) Data(st *Stream, p []byte)          { st.Consume(len(p)) }
func (plainHandler) End(st *Stream, _ message.Fields)   { st.Respond(200, nil, true) }
func (plainHandler) Reset(*Stream)                      {}
func (plainHandler) Writable(*Stream)                   {}
func (plainHandler) Pong()                              {}

// play runs a script against a session, fed with so many bytes at a time (0: all at once).
func play(wire []byte, step int) string {
	s := NewSession(nil, plainHandler{}, nil)
	var out bytes.Buffer
	if step == 0 {
		step = max(1, len(wire))
	}
	for piece := range slices.Chunk(wire, step) {
		err := s.Feed(piece)
		for p := s.Output(nil); len(p) > 0; p = s.Output(nil) {
			out.Write(p)
		}
		if err != nil {
			break
		}
	}
	var o outcome
	if err := o.read(&out); err != io.EOF {
		return fmt.Sprintf("broken output: %v", err)
	}
	return o.String()
}
