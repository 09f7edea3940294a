package usher

import (
	"crypto/tls"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/originframe"
)

// OriginFrames says when connections are told which origins they may carry (RFC 8336).
type OriginFrames = authority.OriginFrames

const (
	AutoFrames   = authority.AutoFrames   // only where the frame says everything
	AlwaysFrames = authority.AlwaysFrames // what can be listed, the nearest first, up to the cap
	NeverFrames  = authority.NeverFrames
)

// An originConn is an HTTP/2 connection whose first write, the server's SETTINGS, is followed by an ORIGIN frame. x/net's
// HTTP/2 server has no way to send one; its writes of a connection come one after the other, and the first begins with
// SETTINGS (RFC 9113 section 3.4).
type originConn struct {
	*tls.Conn
	frame func() []byte // called once; nil: no frame
	begun bool
}

func (c *originConn) Write(p []byte) (int, error) {
	if c.begun {
		return c.Conn.Write(p)
	}
	c.begun = true
	end, ok := settingsEnd(p)
	if !ok {
		return c.Conn.Write(p)
	}
	frame := c.frame()
	if len(frame) == 0 {
		return c.Conn.Write(p)
	}
	joined := make([]byte, 0, len(p)+len(frame))
	joined = append(joined, p[:end]...)
	joined = append(joined, frame...)
	joined = append(joined, p[end:]...)
	n, err := c.Conn.Write(joined)
	if err != nil {
		// How much of p went out matters to nobody: after a failed write a TLS connection is at its end.
		return min(n, end), err
	}
	return len(p), nil
}

const (
	frameHeader  = 9 // RFC 9113 section 4.1
	typeSettings = 0x4
	flagAck      = 0x1
	typeAt       = 3
	flagsAt      = 4
)

// settingsEnd returns where the SETTINGS frame that p begins with ends.
func settingsEnd(p []byte) (int, bool) {
	if len(p) < frameHeader || p[typeAt] != typeSettings || p[flagsAt]&flagAck != 0 {
		return 0, false
	}
	end := frameHeader + int(p[0])<<16 + int(p[1])<<8 + int(p[2])
	return end, end <= len(p)
}

// A told is what a connection was told that it may carry, and whether that still holds under the rules of a generation.
type told struct {
	generation uint64
	origins    []authority.Origin
	lost       bool
}

// originFrame returns the frame for a connection whose handshake is done, and remembers what it says. nil: none is due.
func (g *Guard) originFrame(rec *record, cs tls.ConnectionState) []byte {
	if rec == nil {
		return nil
	}
	s := g.current()
	c := g.factsOf(rec, &cs, s)
	if c == nil {
		return nil
	}
	origins, _ := s.table.Advertise(c)
	if len(origins) == 0 {
		return nil
	}
	frame, err := originframe.AppendFrame(nil, origins)
	for err != nil && len(origins) > 1 && s.alwaysFrames(c.Listener) {
		// Too long for one frame: the nearest stay.
		origins = origins[:len(origins)/2]
		frame, err = originframe.AppendFrame(nil, origins)
	}
	if err != nil {
		return nil
	}
	rec.told.Store(&told{generation: s.generation, origins: origins})
	return frame
}

func (s *state) alwaysFrames(name string) bool {
	l := s.listener(name)
	return l != nil && l.OriginFrame == AlwaysFrames
}

// mustLeave reports whether the connection was told of an origin that it may no longer carry. A client that goes on
// believing it would come again and again, so such a connection is told to go away (GOAWAY) with its next response.
func (rec *record) mustLeave(s *state, c *authority.Conn) bool {
	t := rec.told.Load()
	if t == nil || t.generation == s.generation {
		return t != nil && t.lost
	}
	lost := t.lost || !s.table.StillServes(c, t.origins)
	rec.told.Store(&told{generation: s.generation, origins: t.origins, lost: lost})
	return lost
}
