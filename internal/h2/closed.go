package h2

// closedStreams remembers the last streams that were closed, and how. Frames for them may be on their way, or be an error
// (RFC 9113 section 5.1, closed). What is older is forgotten, so that the memory is bounded.
type closedStreams struct {
	ring      [32]uint32 // the number, shifted, and whether frames are ignored
	next      uint8
	forgotten uint32 // the highest number that fell out of the ring and whose frames are ignored
}

// add remembers a stream. ignore says that we have reset it: "An endpoint that sends a RST_STREAM frame on a stream that is in
// the "open" or "half-closed (local)" state could receive any type of frame. ... An endpoint MUST minimally process and then
// discard any frames it receives in this state."
func (c *closedStreams) add(id uint32, ignore bool) {
	old := c.ring[c.next]
	if old&1 != 0 {
		c.forgotten = max(c.forgotten, old>>1)
	}
	entry := id << 1
	if ignore {
		entry |= 1
	}
	c.ring[c.next] = entry
	c.next = (c.next + 1) % uint8(len(c.ring))
}

// A past is what is known of a stream that is not open and not idle.
type past uint8

const (
	unknown past = iota // never used: the client went past its number; or closed long ago
	ended               // END_STREAM went both ways, or the client has reset it
	ignored             // we have reset it
)

func (c *closedStreams) past(id uint32) past {
	for _, entry := range c.ring {
		if entry>>1 == id {
			if entry&1 != 0 {
				return ignored
			}
			return ended
		}
	}
	if id <= c.forgotten {
		return ignored
	}
	return unknown
}

// ignore has further frames for a stream ignored: it has just been answered with RST_STREAM.
func (c *closedStreams) ignore(id uint32) {
	for i, entry := range c.ring {
		if entry>>1 == id {
			c.ring[i] |= 1
			return
		}
	}
	c.add(id, true)
}
