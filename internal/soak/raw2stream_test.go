package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A raw2Stream is one exchange. The connection's lock guards it.
type raw2Stream struct {
	*record
	c          *raw2
	rng        *rand.Rand
	number     uint32
	sendWindow int64
	window     int64
	sendOver   bool // nothing more is sent
	content    *content
	got        seen
	over       bool // the answer is of no interest any more
	ended      bool // the gateway has said that it has ended
}

func (c *raw2) do(r *record) seen {
	rng := rand.New(rand.NewPCG(r.rng, 11))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil || c.leaving {
		r.gone.Store(true) // it is not begun
		return seen{err: c.failed, last: true}
	}
	s := &raw2Stream{record: r, c: c, rng: rng, number: c.next, sendWindow: c.sendInitial, window: c.initial, content: newContent(r.id, ofAnswer, r.due())}
	c.next += 2
	c.streams[s.number] = s
	s.open()
	timer := time.AfterFunc(patience, func() { s.timeout() })
	defer timer.Stop()
	if r.clientCut == receiving && r.clientAt == 0 {
		soon := time.AfterFunc(4*moment(rng), s.giveUpSoon)
		defer soon.Stop()
	}
	s.upload()
	for !s.over {
		c.changed.Wait()
	}
	if (!s.sendOver || !s.ended) && c.failed == nil && !c.given[s.number] {
		s.cancel() // answered early, the rest is of no use to anybody; or too late
	}
	c.forget(s)
	s.got.last = c.failed != nil || c.leaving
	return s.got
}

// open sends the header section, sometimes in pieces.
func (s *raw2Stream) open() {
	c := s.c
	c.block.Reset()
	put := func(name, value string) { c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) }
	put(":method", s.method)
	put(":scheme", "https")
	put(":authority", s.host+":"+c.session.run.server.port)
	put(":path", "/"+s.idText())
	if s.known && s.size > 0 {
		put("content-length", strconv.FormatInt(s.size, 10))
	}
	for _, f := range s.fields {
		put(strings.ToLower(f.name), f.value)
	}
	if s.trailers {
		put("te", "trailers")
	}
	// A server of net/http shows trailers over HTTP/2 to those alone who were told so, and towards HTTP/1.1 a length leaves no place for
	// what nobody has announced.
	if s.trailers && (s.known || s.host == h2Host || chance(s.rng, 0.5)) {
		put("trailer", trailerField)
	}
	end := s.size == 0 && s.known
	if end {
		s.sent.Store(true)
		s.sendOver = true
	}
	s.section(end)
	if s.window <= 0 {
		s.grow()
	}
	s.c.changed.Broadcast()
}

// section sends the block as HEADERS and CONTINUATION.
func (s *raw2Stream) section(end bool) {
	block := s.c.block.Bytes()
	piece := len(block)
	if chance(s.rng, 0.1) && piece > 4 {
		piece = piece/4 + 1
	}
	p := http2.HeadersFrameParam{StreamID: s.number, EndStream: end, BlockFragment: block[:piece], EndHeaders: piece == len(block)}
	if chance(s.rng, 0.1) {
		p.PadLength = uint8(s.rng.IntN(256))
		p.Priority = http2.PriorityParam{Weight: 3}
	}
	s.c.frames.WriteHeaders(p)
	for block = block[piece:]; len(block) > 0; block = block[piece:] {
		piece = min(piece, len(block))
		s.c.frames.WriteContinuation(s.number, piece == len(block), block[:piece])
	}
}

// upload sends the content as the windows allow.
func (s *raw2Stream) upload() {
	c := newContent(s.id, ofRequest, s.size)
	most := s.size
	if s.clientCut == inContent {
		most = s.clientAt
	}
	piece := most/1000 + 1 + s.rng.Int64N(40_000) // thousands of padded frames of some bytes are taken for a flood
	for c.at < most && s.room() {
		n := min(1+s.rng.Int64N(piece), most-c.at, s.sendWindow, s.c.sendWindow, s.c.sendFrame)
		s.frame(c, n)
		if s.slow && chance(s.rng, 0.1) {
			wait := moment(s.rng)
			s.c.mu.Unlock()
			time.Sleep(wait)
			s.c.mu.Lock()
		}
	}
	switch {
	case s.sendOver || s.over || s.c.failed != nil:
	case s.clientCut == inContent:
		s.giveUp()
	default:
		s.end()
	}
}

// room waits until something may be sent. It reports false where nothing is to be sent any more.
func (s *raw2Stream) room() bool {
	for !s.sendOver && !s.over && s.c.failed == nil {
		if s.sendWindow > 0 && s.c.sendWindow > 0 && s.c.out.Len() < 128<<10 {
			return true
		}
		s.c.changed.Wait()
	}
	return false
}

// frame sends up to n bytes, sometimes with padding, and sometimes with the end.
func (s *raw2Stream) frame(c *content, n int64) {
	p := c.next(int(n))
	n = int64(len(p))
	last := c.left() == 0 && s.clientCut != inContent
	if last && !s.trailers {
		s.sent.Store(true)
	}
	last = last && !s.trailers && chance(s.rng, 0.5)
	var pad []byte
	if room := min(s.sendWindow, s.c.sendWindow, s.c.sendFrame) - n - 1; room > 0 && chance(s.rng, 0.05) {
		pad = make([]byte, s.rng.Int64N(min(room, 255)+1))
		n += int64(len(pad)) + 1
	}
	s.sendWindow -= n
	s.c.sendWindow -= n
	s.sendOver = last
	s.c.frames.WriteDataPadded(s.number, last, p, pad)
	s.c.changed.Broadcast()
}

// end says that the content is complete.
func (s *raw2Stream) end() {
	s.sent.Store(true)
	s.sendOver = true
	if !s.trailers {
		s.c.frames.WriteData(s.number, true, nil)
	} else {
		s.c.block.Reset()
		s.c.encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(trailerField), Value: s.trailerOf(ofRequest)})
		s.section(true)
	}
	s.c.changed.Broadcast()
}

// giveUp ends the exchange from the client's side.
func (s *raw2Stream) giveUp() {
	s.gone.Store(true)
	s.cancel()
	s.finish(errGone)
}

func (s *raw2Stream) giveUpSoon() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.over && s.c.failed == nil {
		s.giveUp()
	}
}

func (s *raw2Stream) cancel() {
	s.sendOver = true
	s.c.given[s.number] = true
	s.c.forget(s)
	s.c.frames.WriteRSTStream(s.number, http2.ErrCodeCancel)
	s.c.changed.Broadcast()
}

func (s *raw2Stream) timeout() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.finish(fmt.Errorf("not answered within %v (windows: %d and %d to send, %d and %d to receive)", patience, s.sendWindow, s.c.sendWindow, s.window, s.c.window))
}

// finish ends the answer, once.
func (s *raw2Stream) finish(err error) {
	if !s.over {
		s.over, s.got.err, s.got.complete = true, err, err == nil
		s.c.changed.Broadcast()
	}
}

func (s *raw2Stream) grow() error {
	n := -min(s.window, 0) + 1 + s.rng.Int64N(s.c.grain)
	s.window += n
	return s.c.frames.WriteWindowUpdate(s.number, uint32(n))
}

func (s *raw2Stream) fault(what string) {
	if s.got.wrong == "" {
		s.got.wrong = what
	}
}

func (s *raw2Stream) headers(status string, h http.Header, end bool) {
	n, err := strconv.Atoi(status)
	switch {
	case status == "" && s.got.status != 0 && end:
		s.got.trailers = h.Get(trailerField)
	case err != nil || s.got.status != 0:
		s.fault(fmt.Sprintf("a header section with the status %q", status))
	case n < 200:
		if end {
			s.fault("an interim answer that ends the stream")
		}
		if n != http.StatusContinue {
			s.got.informs++
			s.got.informWrong(s.record, n, h)
		}
	default:
		length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if err != nil {
			length = -1
		}
		s.got.header(s.record, &http.Response{StatusCode: n, Header: h, ContentLength: length})
	}
	if end {
		s.ended = true
		s.finish(nil)
	}
}

func (s *raw2Stream) data(p []byte, end bool) {
	if s.got.status == 0 {
		s.fault("DATA before HEADERS")
	}
	if !s.got.own {
		if wrong := s.content.check(p); wrong != "" {
			s.fault(wrong)
		}
	}
	s.got.bytes += int64(len(p))
	switch {
	case end:
		s.ended = true
		s.finish(nil)
	case s.clientCut == receiving && s.clientAt > 0 && s.got.bytes >= s.clientAt:
		s.giveUp()
	}
}
