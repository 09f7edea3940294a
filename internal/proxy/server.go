package proxy

import (
	"errors"
	"strings"

	"github.com/usher-http/usher/internal/message"
)

// A Server is one upstream server and the connections to it. Make it with NewServer. It may be used by several goroutines at once.
type Server struct {
	config Config
	home   *pool  // with the SNI of the configuration
	heals  *heals // nil: a 421 is never tried again
}

// NewServer returns a server without connections.
func NewServer(c Config) *Server {
	s := &Server{config: c.withDefaults()}
	sni := ""
	if c.TLS != nil {
		sni = strings.TrimSuffix(strings.ToLower(c.TLS.ServerName), ".")
		if !c.FixedSNI {
			s.heals = newHeals(s)
		}
	}
	s.home = newPool(s, sni)
	return s
}

// Address is what is dialled.
func (s *Server) Address() string { return s.config.Address }

// CloseIdle closes the connections that are not in use.
func (s *Server) CloseIdle() {
	s.home.closeIdle()
	if s.heals != nil {
		s.heals.closeIdle()
	}
}

// Retire is CloseIdle, and keeps no connection from now on. Requests are still served, each by a connection of its own.
func (s *Server) Retire() {
	s.home.retire(true)
	if s.heals != nil {
		s.heals.retire()
	}
}

// Do sends a request and returns when the header section of the final answer is there. The fields are sent as they are: the caller
// has taken out what is about the connection. Host comes from Authority, framing from Length, Upgrade from Protocol; an extended
// CONNECT (RFC 8441) becomes a GET with Upgrade, without content.
//
// A request that met a connection which the server had just closed is sent once more on a fresh one, if that is safe; a 421 of an
// https server is answered by a fresh connection whose SNI is the request's host, if that can help.
//
// After an error nothing of r is in use any more, its Body included. The errors that mean something: *RequestError, *ConnectError,
// *TimeoutError, ErrCanceled, *BodyError, *MalformedError, *ClosedError, *MisdirectedError.
func (s *Server) Do(call *Call, r *message.Request) (*Response, error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	p := s.home
	if s.heals != nil {
		p = s.heals.poolFor(r.Authority)
	}
	res, reused, err := s.ask(call, r, p.forRequest(r), anyOf, false)
	if err != nil || res.Status != 421 {
		return res, err
	}
	res.Close()
	return s.heal(call, r, p, reused)
}

// carrier is a connection as Do sees it.
type carrier interface {
	exchange(call *Call, r *message.Request) (*Response, error)
	shared() bool // it stays in the pool during an exchange
}

// A choice says which connections of a pool will do for a request.
type choice int

const (
	anyOf choice = iota
	fresh        // one that is made for it, and that others may share from then on
	alone        // one that is made for it, and for nothing else
)

// maxShared is how often a request is sent by connections with HTTP/2 that others share. They end when they have carried so many, say,
// and those of whom nothing was processed go on to the next, where the same may happen to them; the last attempt is made alone.
const maxShared = 3

// ask sends a request by a connection of the pool, and again if that had been closed: as often as nothing of it was carried out (RFC
// 9113 section 8.7), once where that is not known (RFC 9110 section 9.2.2). reused says whether the one that answered had been used
// before, repeated that the request has been sent already.
func (s *Server) ask(call *Call, r *message.Request, p *pool, which choice, repeated bool) (res *Response, reused bool, err error) {
	for n := 1; ; n++ {
		c, reused, err := p.find(call, r, which, repeated)
		if err != nil {
			return nil, false, err
		}
		if res, err = c.exchange(call, r); err == nil {
			return res, reused, nil
		}
		var stale *staleError
		if !errors.As(err, &stale) {
			return nil, reused, err
		}
		last := !reused || repeated // a fresh connection that ends is not stale
		if stale.nothing && c.shared() {
			last = which == alone
		}
		if last {
			return nil, reused, stale.err
		}
		if err := repeatable(call, r, stale); err != nil {
			return nil, reused, err
		}
		repeated = !stale.nothing
		if n >= maxShared && c.shared() {
			which = alone
		}
	}
}

// find returns a connection for a request: one that is there already, unless it has to be another, or one that is made.
func (p *pool) find(call *Call, r *message.Request, which choice, another bool) (c carrier, reused bool, err error) {
	if which == anyOf && !another {
		if c := p.carrier(r); c != nil {
			return c, true, nil
		}
	}
	return p.connect(call, which)
}

// repeatable returns nil if a request that ended with err is to be sent once more, else the error.
func repeatable(call *Call, r *message.Request, err *staleError) error {
	if (err.nothing || idempotent(r.Method)) && call.content.again(r) {
		return nil
	}
	return err.err
}

// carrier returns a connection for a request that is there already; nil: there is none.
func (p *pool) carrier(r *message.Request) carrier {
	if t := p.two.take(); t != nil {
		return t
	}
	if c := p.take(!hasContent(r)); c != nil {
		return c
	}
	return nil
}
