package proxy

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// AtHand may be implemented by the Body of a request. n bytes can be read without waiting; end says that those are the last and
// that io.EOF follows without waiting. What is at hand goes to the server with the header section, in one write and without a
// goroutine.
type AtHand interface {
	AtHand() (n int, end bool)
}

// Taken may be implemented by a Body that is an AtHand: Take hands over all of a content that is wholly at hand, as if it were read, but
// without a copy. It returns nil where it cannot. The content is valid until the exchange has ended.
type Taken interface {
	Take() []byte
}

// worthTaking is from where on a write of its own costs less than a copy.
const worthTaking = 8 << 10

// takeAtHand adds to out what is at hand of the content. rest says that more is to come.
func (c *conn) takeAtHand(call *Call, r *message.Request) (rest bool, err error) {
	k := &call.content
	switch {
	case !hasContent(r):
		return false, nil
	case k.whole:
		c.appendPiece(r, k.data, true, k.trailers)
		return false, nil
	}
	body, ok := r.Body.(AtHand)
	if !ok {
		return true, nil
	}
	n, end := body.AtHand()
	if r.Length >= 0 && (int64(n) > r.Length || end && int64(n) < r.Length) {
		return false, ErrBodyLength
	}
	whole := end || r.Length >= 0 && int64(n) == r.Length
	if n > maxKept || n == 0 && !whole {
		return true, nil
	}
	k.taken = true
	if whole && end && n >= worthTaking && r.Length >= 0 && c.plain != nil {
		if t, ok := r.Body.(Taken); ok {
			if c.tail = t.Take(); c.tail != nil {
				c.first.whole = true
				return false, nil
			}
		}
	}
	p := c.startPiece(r, n)
	if _, err := io.ReadFull(r.Body, p); err != nil {
		return false, err
	}
	if end {
		if err := expectEOF(r.Body); err != nil {
			return false, err
		}
	}
	c.endPiece(r, whole, trailersOf(r, end))
	return !whole, nil
}

func trailersOf(r *message.Request, end bool) message.Fields {
	if !end || r.Length >= 0 {
		return nil
	}
	return r.Body.Trailers()
}

// expectEOF reads the end of a content that has none but its end left.
func expectEOF(body message.Body) error {
	var one [1]byte
	const patience = 100
	for range patience {
		n, err := body.Read(one[:])
		switch {
		case n > 0:
			return ErrBodyLength
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

func (c *conn) appendPiece(r *message.Request, p []byte, whole bool, trailers message.Fields) {
	copy(c.startPiece(r, len(p)), p)
	c.endPiece(r, whole, trailers)
}

// startPiece makes room for n bytes of content in out, and returns it.
func (c *conn) startPiece(r *message.Request, n int) []byte {
	c.reserve(n + 2*chunkRoom)
	if r.Length < 0 && n > 0 {
		c.out = http1.AppendChunkSize(c.out, n)
	}
	at := len(c.out)
	c.out = c.out[:at+n]
	c.first = piece{from: at, to: at + n}
	return c.out[at:]
}

func (c *conn) endPiece(r *message.Request, whole bool, trailers message.Fields) {
	c.first.whole, c.first.trailers = whole, trailers
	if r.Length >= 0 {
		return
	}
	if c.first.from < c.first.to {
		c.out = append(c.out, "\r\n"...)
	}
	if whole {
		c.out = appendLastChunk(c.out, trailers)
	}
}

// reserve makes room for n bytes more in out.
func (c *conn) reserve(n int) {
	need := len(c.out) + n
	if need > cap(c.out) && need <= len(sendBuffer{}) {
		c.big = sendBuffers.Get().(*sendBuffer)
		c.out = append(c.big[:0], c.out...)
	}
	c.out = slices.Grow(c.out, n)
}

// release gives back memory that only large requests need.
func (c *conn) release() {
	if c.big != nil {
		sendBuffers.Put(c.big)
		c.big, c.out = nil, nil
	}
	if cap(c.out) > outSize {
		c.out = nil
	}
}

// appendLastChunk ends chunked content, with names in lower case, as in the header section.
func appendLastChunk(b []byte, trailers message.Fields) []byte {
	b = append(b, "0\r\n"...)
	for i := range trailers {
		// They came after the request had been checked. What is wrong with them is no reason to break it off.
		if f := &trailers[i]; http1.MayTrail(f) {
			b = http1.AppendLine(b, f.Name, f.Value)
		}
	}
	return append(b, "\r\n"...)
}

// sendBuffer has room for a piece of content, between what stands before (a header section, or a chunk's size) and behind it.
type sendBuffer [8<<10 + maxKept]byte

const chunkRoom = 8 // five digits, CR LF

var sendBuffers = sync.Pool{New: func() any { return new(sendBuffer) }}

// A sender sends the content that was not at hand, in a goroutine of its own, while the answer may come already.
type sender struct {
	conn    *conn
	body    message.Body
	left    int64 // of the announced length; -1: chunked
	chunked bool
	keep    bool // for another attempt

	part   atomic.Int32
	ending atomic.Bool // what the content still says does not matter
	done   chan struct{}

	// Valid when done is closed.
	complete bool  // the request was sent to its end
	broken   error // the content broke off
}

const (
	partReading int32 = iota // waits for the client
	partWriting
	partLast // writes the last bytes
	partSent // there is nothing to write any more: it only looks whether the content really ends
)

func newSender(c *conn, r *message.Request) *sender {
	s := &sender{conn: c, body: r.Body, left: r.Length, chunked: r.Length < 0, done: make(chan struct{})}
	if !s.chunked {
		s.left -= int64(c.first.to - c.first.from)
	}
	p := c.pool
	s.keep = r.Length <= maxKept && (c.exchanges > 1 && idempotent(r.Method) || p.server.heals != nil)
	if s.keep {
		c.call.content.add(c.out[c.first.from:c.first.to])
	}
	return s
}

func (s *sender) run() {
	defer close(s.done)
	b := sendBuffers.Get().(*sendBuffer)
	defer sendBuffers.Put(b)
	k := &s.conn.call.content
	for {
		n, err := s.read(b)
		k.taken = true
		end := err == io.EOF
		if !s.chunked && (int64(n) > s.left || end && int64(n) < s.left) {
			err, end = ErrBodyLength, false
		}
		if err != nil && !end {
			s.breakOff(err)
			return
		}
		if s.keep {
			k.add(b[chunkRoom : chunkRoom+n])
		}
		if s.left -= int64(n); s.chunked {
			s.left = -1
		}
		last := end || s.left == 0
		if last && s.keep {
			k.complete(s.trailers(end))
		}
		if !s.write(b, n, last, end) {
			return
		}
		if last {
			s.complete = true
			if !end {
				s.check()
			}
			return
		}
	}
}

func (s *sender) trailers(end bool) message.Fields {
	if !end || !s.chunked {
		return nil
	}
	return s.body.Trailers()
}

// read reads a piece of content, with room for one byte more than was announced.
func (s *sender) read(b *sendBuffer) (int, error) {
	s.conn.watch.sending(0) // the client's own limits are what counts here
	s.part.Store(partReading)
	if s.conn.watch.why() != nil {
		return 0, errStopped // it was stopped before: whoever waits for it may not have seen that it reads
	}
	p := b[chunkRoom : chunkRoom+maxKept]
	if !s.chunked && s.left+1 < int64(len(p)) {
		p = p[:s.left+1]
	}
	const patience = 100
	for range patience {
		if n, err := s.body.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// write sends n bytes, and what belongs round them, in one write.
func (s *sender) write(b *sendBuffer, n int, last, end bool) bool {
	p := b[chunkRoom : chunkRoom+n]
	if s.chunked {
		p = s.chunk(b, n, end)
	}
	if last {
		s.part.Store(partLast)
	} else {
		s.part.Store(partWriting)
	}
	if len(p) == 0 {
		return true
	}
	limit := s.conn.pool.server.config.FirstByte
	s.conn.watch.sending(limit)
	if _, err := s.conn.writeNet(p); err != nil {
		s.conn.noteWrite(err)
		// The answer may be there all the same, and says why. It is waited for as if the request were complete.
		return false
	}
	if last {
		s.conn.watch.sending(limit)
	}
	return true
}

func (s *sender) chunk(b *sendBuffer, n int, end bool) []byte {
	p := b[chunkRoom:chunkRoom]
	if n > 0 {
		var size [chunkRoom]byte
		line := http1.AppendChunkSize(size[:0], n)
		from := chunkRoom - len(line)
		copy(b[from:], line)
		p = append(b[from:chunkRoom+n], "\r\n"...)
	}
	if end {
		p = appendLastChunk(p, s.body.Trailers())
	}
	return p
}

// check reads what has to be the end of a content of which everything that was announced has come.
func (s *sender) check() {
	s.part.Store(partSent)
	if s.conn.watch.why() != nil {
		return
	}
	if err := expectEOF(s.body); err != nil {
		s.breakOff(err)
	}
}

func (s *sender) breakOff(err error) {
	if s.ending.Load() || s.conn.watch.why() != nil {
		return // it was stopped: that is why
	}
	s.broken = &BodyError{err}
	s.conn.watch.abort(s.broken)
}

// settle ends the sending of a request whose exchange has been stopped, and waits for that. It returns how the content broke off,
// if it did so before.
func (s *sender) settle() error {
	select {
	case <-s.done:
		return s.broken
	default:
	}
	if part := s.part.Load(); part == partReading || part == partSent {
		s.body.Stop()
	}
	<-s.done
	return s.broken
}

// lastWrite is how long the end of an exchange waits for a write that the server has visibly taken, since it has answered, but that
// has not returned yet.
const lastWrite = 50 * time.Millisecond

// sent reports at the end of the answer whether the request was sent to its end, too. If it was not, it stays so.
func (s *sender) sent() bool {
	if s.part.Load() == partLast {
		t := time.NewTimer(lastWrite)
		defer t.Stop()
		select {
		case <-s.done:
		case <-t.C:
		}
	}
	if s.part.Load() == partSent {
		s.ending.Store(true)
		s.body.Stop()
		<-s.done
	}
	select {
	case <-s.done:
		return s.complete
	default:
		return false
	}
}
