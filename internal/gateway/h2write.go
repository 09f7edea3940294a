package gateway

import (
	"runtime"
	"time"

	"github.com/usher-http/usher/internal/h2"
)

// flushInPlace sends what a read has produced. The lock is held, and given up while writing.
func (c *h2conn) flushInPlace() {
	if c.writing || c.broken || c.mute || !c.session.Pending() {
		c.settle()
		return
	}
	c.writing = true
	out := c.session.Output(c.spare)
	c.spare = nil
	if len(out) > writeInPlace {
		go c.writeOn(out)
		return
	}
	c.write(out)
	if c.session.Pending() && !c.broken {
		go c.writeOn(nil)
		return
	}
	c.silent()
}

// writeOn writes out, and whatever there is after it.
func (c *h2conn) writeOn(out []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(out)
	c.writeAll()
}

// flush sends what is ready, unless somebody does already. The lock is held, and given up while writing.
func (c *h2conn) flush() {
	if c.writing || c.broken || c.mute || !c.session.Pending() {
		c.settle()
		return
	}
	c.writing = true
	c.writeAll()
}

// gather is flush for a request that has its answer complete: others that are about to have theirs go out with it.
func (c *h2conn) gather() {
	if c.writing || c.broken || c.mute || !c.session.Pending() {
		c.settle()
		return
	}
	c.writing = true
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	c.writeAll()
}

func (c *h2conn) writeAll() {
	for !c.broken && !c.mute {
		out := c.session.Output(c.spare)
		c.spare = nil
		if len(out) == 0 {
			c.spare = h2.Spare(out)
			break
		}
		c.write(out)
	}
	c.silent()
}

// silent is the end of writing.
func (c *h2conn) silent() {
	c.writing = false
	c.quiet.Broadcast()
	c.settle()
}

// write is called with the lock held, and gives it up while writing. c.writing is set.
func (c *h2conn) write(out []byte) {
	if len(out) == 0 || c.broken {
		return
	}
	c.mu.Unlock()
	_, err := c.raw.writeWhole(c.nc, out)
	c.mu.Lock()
	c.spare = h2.Spare(out)
	if err != nil {
		c.broken = true
		c.raw.Close() // who reads notices
	}
}

// settle ends a connection that has nothing left to do. The lock is held.
func (c *h2conn) settle() {
	if !c.session.Done() || c.broken || c.writing || c.ending || c.running > 0 {
		return
	}
	// Where it is the client that leaves, it is to know what was not carried out: requests that come from here on are refused.
	if c.session.FinishGoAway(); c.session.Pending() {
		c.writing = true
		go c.writeOn(nil)
		return
	}
	// The client may have sent something that is not read yet: closing now would reset the connection, and take the last answer with
	// it. Reading goes on for a moment, most often until the client closes.
	until := time.Now().Add(lingerFor)
	c.ending, c.mute, c.deadline = true, true, until
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.raw.CloseWrite()
	c.nc.SetReadDeadline(until)
	c.mu.Lock()
}
