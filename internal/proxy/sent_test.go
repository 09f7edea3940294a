package proxy

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// late is a connection whose writes return after what was written has arrived.
type late struct {
	net.Conn
	by time.Duration
}

func (c *late) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	time.Sleep(c.by)
	return n, err
}

// An answer may be there to its end before who sends the request has come back from its last write. That is waited for, for a moment, and
// then the connection serves the next request.
func TestAnswerBeforeTheLastWriteReturns(t *testing.T) {
	for by, dials := range map[time.Duration]int{lastWrite - time.Millisecond: 1, lastWrite + time.Millisecond: 2} {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScriptedBy(t, Config{}, func(_ int, c *peer) {
				for _, okay := c.head(); okay; _, okay = c.head() {
					c.want("5\r\nhello\r\n0\r\n\r\n")
					c.say(hello)
				}
			}, func(context.Context) (ours, theirs net.Conn, err error) {
				ours, theirs = net.Pipe()
				return &late{ours, by}, theirs, nil
			})
			for range 2 {
				if got := answer(s.Do(new(Call), send("POST", -1, &pieces{left: []string{"hello"}}))); got != `200 "hello"` {
					t.Error(got)
				}
			}
			if n := sc.dialled(); n != dials {
				t.Errorf("%v: %d connections, want %d", by, n, dials)
			}
		})
	}
}
