package proxy

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/http1"
)

// A stander is the goroutine of a connection in plaintext that waits for whatever comes on it, also while it is idle. Who asks only sends:
// nobody has to be woken for that, and that the server closes the connection is noticed when it does.
type stander struct {
	gone chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	begun   begun
	asked   bool // begun is under way
	strange bool // something has come, or the end, although nothing was asked
	left    bool // the goroutine ends, and takes no request any more

	// Of the goroutine alone.
	answering bool // Answered is running: the connection is not closed, nor given back to the pool, before it has returned
	ended     bool // the connection is to be closed
}

// standUp gives the connection a goroutine.
func (c *conn) standUp() {
	c.stander = &stander{gone: make(chan struct{})}
	go c.stand(c.stander)
}

// sit ends the goroutine, if there is one, of a connection that was taken from the pool. It returns false where something had come.
func (c *conn) sit() bool {
	s := c.stander
	if s == nil {
		return true
	}
	c.raw.SetReadDeadline(aLongTimeAgo)
	<-s.gone
	c.raw.SetReadDeadline(time.Time{})
	c.stander = nil
	return !s.strange
}

func (c *conn) stand(s *stander) {
	defer close(s.gone)
	turn := func() bool { return c.turn(s) }
	for {
		err := c.plain.Stand(turn)
		if s.ended {
			break
		}
		b, ok := s.take(true)
		if !ok {
			break
		}
		if b.input == nil {
			b.input = err
		}
		if c.conclude(s, &b); s.ended {
			break
		}
	}
	if s.ended || c.pool.drop(c) {
		c.watch.forget()
		c.raw.Close()
	}
}

// take returns what was asked, and not answered. leaving says that the goroutine ends where nothing was.
func (s *stander) take(leaving bool) (b begun, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok = s.begun, s.asked
	s.begun, s.asked = begun{}, false
	s.left = leaving && !ok
	return b, ok
}

// turn takes in what has come. An answer that is there whole is given on from here; it returns true for everything else.
func (c *conn) turn(s *stander) bool {
	for {
		s.mu.Lock()
		room := c.in[c.w:]
		n, some, err := c.plain.TakeIn(room)
		asked := s.asked
		s.strange = some && !asked
		s.mu.Unlock()
		switch {
		case !some:
			return false
		case !asked:
			return true
		}
		c.w += n
		if err != nil || !c.whole(&s.begun) {
			s.begun.input = err
			return true
		}
		b, _ := s.take(false)
		if c.give(s, &b, &c.answer, nil); s.ended {
			return true
		}
		if n < len(room) {
			return false
		}
	}
}

// whole reports whether all of the answer is in the buffer, whose header section is understood then.
func (c *conn) whole(b *begun) bool {
	const version = "HTTP/1.1 "
	var scan http1.Scan
	if n, err := scan.End(c.in[c.r:c.w]); err != nil || n <= len(version) || c.in[c.r+len(version)] == '1' {
		return false
	}
	if b.wrong = c.await(c.request, ""); b.wrong != nil {
		return false
	}
	c.request = nil
	return c.body.kind == noContent || c.body.kind == byLength && c.body.left <= int64(c.w-c.r)
}

// conclude is what follows where there is not all of an answer: reading on, or what became of the request otherwise.
func (c *conn) conclude(s *stander, b *begun) {
	server := c.pool.server
	res, err := &c.answer, b.wrong
	switch {
	case err != nil || c.request == nil:
	case b.input == nil:
		err = c.await(c.request, "")
		c.request = nil
	case c.r == c.w && c.watch.why() == nil:
		err = &staleError{err: c.readError(b.input)}
	default:
		err = c.readError(b.input)
	}
	if err != nil {
		err = c.fail(err)
		var stale *staleError
		if errors.As(err, &stale) {
			if err = repeatable(b.call, b.request, stale); err == nil {
				res, _, err = server.ask(b.call, b.request, c.pool, anyOf, true)
			}
		}
	}
	c.give(s, b, res, err)
}

// give tells who has asked, and keeps the connection, if that is what has become of it.
func (c *conn) give(s *stander, b *begun, res *Response, err error) {
	s.answering = true
	if err == nil && res.Status == 421 {
		res.Close()
		res, err = c.pool.server.heal(b.call, b.request, c.pool, true)
	}
	b.asker.Answered(b.passOn(res, err))
	s.answering = false
	if c.gone || !c.pool.keep(c) {
		s.ended = true
	}
}

// drop takes a connection out of the list of those that stand, and reports whether it was there.
func (p *pool) drop(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.standing, c)
	if i >= 0 {
		p.standing = slices.Delete(p.standing, i, i+1)
	}
	return i >= 0
}
