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
	mu    sync.Mutex
	conns []*twoConn
	spoke bool          // the server picks HTTP/2: wait for a connection that somebody makes rather than to make another
	under chan struct{} // closed when the connection is made that is being made; nil: none is
}

const (
	twoReadIdle    = 30 * time.Second // after that a PING asks whether the connection is alive
	twoPingTimeout = 15 * time.Second
)

// twoConn is a connection with HTTP/2.
type twoConn struct {
	pool *pool
	*http2.ClientConn
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
		if c.ReserveNewRequest() {
			free = c
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
	return state.Closed || state.Closing
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

// add makes secured a connection of p. If others were faster, and a fresh one is not asked for, theirs is returned instead.
func (t *two) add(p *pool, secured *tls.Conn, fresh bool) (c *twoConn, reused bool, err error) {
	if !fresh {
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
	c = &twoConn{pool: p, ClientConn: cc}
	if !cc.ReserveNewRequest() {
		cc.Close()
		return nil, false, errNoStream
	}
	t.mu.Lock()
	t.spoke = true
	t.conns = append(t.conns, c)
	t.mu.Unlock()
	return c, false, nil
}

// closeIdle closes the connections without requests; the others take no more, and end with their last one.
func (t *two) closeIdle() {
	t.mu.Lock()
	gone := t.conns
	t.conns = nil
	t.mu.Unlock()
	for _, c := range gone {
		c.SetDoNotReuse()
		if state := c.State(); state.StreamsActive+state.StreamsReserved+state.StreamsPending == 0 {
			c.Close()
		}
	}
}
