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
	res, reused, err := s.ask(call, r, p.forRequest(r), false)
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

// ask sends a request by a connection of the pool, and once more if that had been closed. reused says whether the one that answered
// had been used before.
func (s *Server) ask(call *Call, r *message.Request, p *pool, fresh bool) (res *Response, reused bool, err error) {
	for more := !fresh; more; {
		c := p.carrier(r)
		if c == nil {
			break
		}
		res, err := c.exchange(call, r)
		if err == nil {
			return res, true, nil
		}
		var stale *staleError
		more = errors.As(err, &stale) && stale.nothing && !c.shared()
		if err = repeatable(call, r, err); err != nil {
			return nil, true, err
		}
	}
	c, reused, err := p.connect(call, fresh)
	if err != nil {
		return nil, false, err
	}
	res, err = c.exchange(call, r)
	var stale *staleError
	if errors.As(err, &stale) {
		err = stale.err
	}
	return res, reused, err
}

// repeatable returns nil if a request that ended with err is to be sent once more, else the error.
func repeatable(call *Call, r *message.Request, err error) error {
	var stale *staleError
	if !errors.As(err, &stale) {
		return err
	}
	if (stale.nothing || idempotent(r.Method)) && call.content.again(r) {
		return nil
	}
	return stale.err
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
