package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A Call is one request under way. The zero value is ready. Do may be called for it several times in turn (for one server after
// the other); Reset makes it ready for another request once Response.Close has returned or Do has failed.
type Call struct {
	// Inform is told of interim answers (1xx but 101), from within Do; nil: they are dropped. The fields are valid during the
	// call.
	Inform func(status int, f message.Fields)
	// PassedOver is told by a Rotation of a server that could not be reached, when there is another to try; nil: nobody is.
	PassedOver func(s *Server, err error)

	mu       sync.Mutex
	canceled bool
	watch    *watch             // what Cancel stops; nil: nothing is under way
	stopDial context.CancelFunc // the same while a connection is made

	started time.Duration // when Do was called first; 0: it was not
	content kept
}

// Cancel ends the call with ErrCanceled. It may be called by any goroutine at any time, also before Do.
func (c *Call) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.canceled = true
	if c.stopDial != nil {
		c.stopDial()
	}
	if c.watch != nil {
		c.watch.abort(ErrCanceled)
	}
}

// Reset makes c as good as new; Inform and PassedOver stay.
func (c *Call) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.canceled, c.watch, c.stopDial, c.started = false, nil, nil, 0
	c.content.reset()
}

// start returns the instant by which everything has to be over; 0: none.
func (c *Call) start(whole time.Duration) time.Duration {
	if whole == 0 {
		return 0
	}
	if c.started == 0 {
		c.started = now()
	}
	return c.started + whole
}

// attach makes w what Cancel stops.
func (c *Call) attach(w *watch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.canceled {
		return ErrCanceled
	}
	c.watch = w
	return nil
}

func (c *Call) detach() {
	c.mu.Lock()
	c.watch = nil
	c.mu.Unlock()
}

// dialing returns the context to make a connection with, and what ends it.
func (c *Call) dialing(whole time.Duration) (context.Context, context.CancelFunc, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.canceled {
		return nil, nil, ErrCanceled
	}
	var ctx context.Context
	var cancel context.CancelFunc
	if whole != 0 {
		ctx, cancel = context.WithTimeoutCause(context.Background(), whole-now(), ErrWhole)
	} else {
		ctx, cancel = context.WithCancel(context.Background())
	}
	c.stopDial = cancel
	return ctx, func() {
		c.mu.Lock()
		c.stopDial = nil
		c.mu.Unlock()
		cancel()
	}, nil
}

func (c *Call) isCanceled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.canceled
}
