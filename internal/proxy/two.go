package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

//lint:file-ignore SA1019 x/net's client is used for a single connection that exists already, with its TLS handshake behind it.

// two has a pool's connections that speak HTTP/2, each of which carries many requests at once.
type two struct {
	mu      sync.Mutex
	conns   []*twoConn    // that may take requests
	spoke   bool          // the server picks HTTP/2: wait for a connection that somebody makes rather than to make another
	under   chan struct{} // closed when the connection is made that is being made; nil: none is
	retired bool          // connections are kept for no longer than somebody uses them
}

const (
	twoReadIdle    = 30 * time.Second // after that a PING asks whether the connection is alive
	twoPingTimeout = 15 * time.Second
)

// twoConn is a connection with HTTP/2. That it is to take no more requests, or to be closed, is decided here alone: x/net's own mark for
// it would refuse those that have a stream reserved, too.
type twoConn struct {
	pool *pool
	*http2.ClientConn
	users int  // requests from the reservation of their stream to their end; with two.mu
	spent bool // it gets no further request; with two.mu
}

// take returns a connection with a stream reserved, which exchange uses up; nil: there is none with room.
func (t *two) take() *twoConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reserve()
}

func (t *two) reserve() (free *twoConn) {
	dead := false
	for _, c := range t.conns {
		if !c.spent && c.ReserveNewRequest() {
			free = c
			c.users++
			break
		}
		dead = dead || c.dead()
	}
	if dead {
		t.conns = slices.DeleteFunc(t.conns, (*twoConn).dead)
	}
	return free
}

func (c *twoConn) dead() bool {
	state := c.State()
	return c.spent || state.Closed || state.Closing
}

// release says that a request is over. The last one to leave a connection that nobody will ask for closes it.
func (t *two) release(c *twoConn) {
	t.mu.Lock()
	c.users--
	unused := c.users == 0 && (c.spent || t.retired)
	if unused {
		t.drop(c)
	}
	t.mu.Unlock()
	if unused {
		c.Close()
	}
}

func (t *two) drop(c *twoConn) {
	c.spent = true
	if i := slices.Index(t.conns, c); i >= 0 {
		t.conns = slices.Delete(t.conns, i, i+1)
	}
}

// spend has a connection take no further request.
func (t *two) spend(c *twoConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(c)
}

func (t *two) retire(retired bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = retired
}

// turn waits until the connection is made that somebody else is making, and returns it if it has room. Otherwise whoever asks makes
// one, and calls done then.
func (t *two) turn(ctx context.Context) (c *twoConn, done func(), err error) {
	for {
		t.mu.Lock()
		if !t.spoke {
			t.mu.Unlock()
			return nil, func() {}, nil
		}
		if c := t.reserve(); c != nil {
			t.mu.Unlock()
			return c, nil, nil
		}
		under := t.under
		if under == nil {
			under = make(chan struct{})
			t.under = under
			t.mu.Unlock()
			return nil, func() {
				t.mu.Lock()
				t.under = nil
				t.mu.Unlock()
				close(under)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-under:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

var errNoStream = errors.New("the HTTP/2 connection takes no request")

// add makes secured a connection of p. If others were faster, and any will do, theirs is returned instead.
func (t *two) add(p *pool, secured *tls.Conn, which choice) (c *twoConn, reused bool, err error) {
	if which == anyOf {
		if c := t.take(); c != nil {
			secured.Close()
			return c, true, nil
		}
	}
	config := &p.server.config
	transport := &http2.Transport{
		DisableCompression: true, // the client's Accept-Encoding is what counts
		MaxHeaderListSize:  uint32(config.MaxHeaderBytes),
		IdleConnTimeout:    config.KeepIdle,
		ReadIdleTimeout:    twoReadIdle,
		PingTimeout:        twoPingTimeout,
	}
	cc, err := transport.NewClientConn(secured)
	if err != nil {
		secured.Close()
		return nil, false, err
	}
	c = &twoConn{pool: p, ClientConn: cc, users: 1, spent: which == alone}
	if !cc.ReserveNewRequest() {
		cc.Close()
		return nil, false, errNoStream
	}
	t.mu.Lock()
	t.spoke = true
	if !c.spent {
		t.conns = append(t.conns, c)
	}
	t.mu.Unlock()
	return c, false, nil
}

// closeIdle closes the connections without requests.
func (t *two) closeIdle() {
	t.mu.Lock()
	var unused []*twoConn
	t.conns = slices.DeleteFunc(t.conns, func(c *twoConn) bool {
		if c.users > 0 {
			return false
		}
		c.spent = true
		unused = append(unused, c)
		return true
	})
	t.mu.Unlock()
	for _, c := range unused {
		c.Close()
	}
}
