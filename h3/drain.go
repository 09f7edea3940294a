package h3

import (
	"cmp"
	"context"
	"time"
)

const (
	// The limits of how long nothing must be sent before a connection that has nothing to do is closed.
	minQuiet = 50 * time.Millisecond
	maxQuiet = 2 * time.Second
	// How long a connection may stay that goes on sending although no request is in hand.
	maxLinger = 10 * time.Second
	// How long a client may take to read an answer that has arrived.
	defaultFarewell = 5 * time.Second
)

// end begins the graceful end of the connection and returns: GOAWAY, the requests in hand, then close. Requests that come
// later are rejected with H3_REQUEST_REJECTED, so that clients may repeat them elsewhere. It may be called often.
func (c *conn) end() {
	c.mu.Lock()
	begun := c.ending
	c.ending = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	if !begun {
		go c.drain()
	}
}

// drain waits for the client to close the connection, as it should when it got the last response, and does it
// in its place when it does not.
func (c *conn) drain() {
	// An http3.Server that was shut down before it begins sends no GOAWAY.
	select {
	case <-c.begun:
	case <-c.quic.Context().Done():
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go c.http.Shutdown(ctx)
	// http3 writes GOAWAY in a goroutine of its own: that nothing is sent before it says nothing.
	select {
	case <-c.schemes.goAway:
	case <-time.After(maxLinger): // not told
	case <-c.quic.Context().Done():
		return
	}
	for c.awaitRest() {
		last := c.lastAnswer()
		lately := time.Since(last) < c.server.farewellTime()
		if c.awaitQuiet() && (!lately || c.awaitFarewell()) && c.lastAnswer().Equal(last) {
			break
		}
	}
	c.close()
}

func (c *conn) lastAnswer() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// awaitFarewell gives the client time to close the connection when it has read what it was answered: clients throw away what has arrived and
// was not read by then when we do. It returns false if a request came in between that is in hand.
func (c *conn) awaitFarewell() bool {
	select {
	case <-time.After(c.server.farewellTime()):
	case <-c.quic.Context().Done():
	}
	return c.atRest()
}

func (s *Server) farewellTime() time.Duration { return cmp.Or(s.farewell, defaultFarewell) }

// awaitRest waits until no request is in hand. It returns false if the connection ends before.
func (c *conn) awaitRest() bool {
	c.mu.Lock()
	if c.requests == 0 {
		c.mu.Unlock()
		return c.quic.Context().Err() == nil
	}
	if c.rest == nil {
		c.rest = make(chan struct{})
	}
	rest := c.rest
	c.mu.Unlock()
	select {
	case <-rest:
		return true
	case <-c.quic.Context().Done():
		return false
	}
}

// awaitQuiet waits until everything that was sent has arrived. Closing a QUIC connection throws away what has not been
// acknowledged, and quic-go does not tell what that is; but as long as there is any, it probes for it (RFC 9002
// section 6.2). So the data has arrived when nothing was sent for a few probe time-outs. It returns false if a request came
// in between.
func (c *conn) awaitQuiet() bool {
	deadline := time.Now().Add(maxLinger)
	for time.Now().Before(deadline) {
		stats := c.quic.ConnectionStats()
		probe := stats.SmoothedRTT + 4*stats.MeanDeviation + 25*time.Millisecond
		quiet, asleep := min(max(3*probe, minQuiet), maxQuiet), time.Now()
		select {
		case <-time.After(quiet):
		case <-c.quic.Context().Done():
			return true
		}
		if !c.atRest() {
			return false
		}
		// Where this goroutine was kept from running, so was quic-go's, which sends and probes.
		stalled := time.Since(asleep) > 2*quiet
		if !stalled && c.quic.ConnectionStats().PacketsSent == stats.PacketsSent {
			return true
		}
	}
	return true
}

func (c *conn) atRest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests == 0
}
