package proxy

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// A Rotation gives requests to equal servers in turn. A server that no connection can be made to is passed over for a while, and
// the request goes to the next one, since nothing of it was carried out. Make it with NewRotation. It may be used by several
// goroutines at once.
type Rotation struct {
	servers []*turn
	next    atomic.Uint32
}

type turn struct {
	*Server
	downUntil atomic.Int64 // as now() counts; 0: it is up
}

const passOver = 5 * time.Second

// NewRotation returns a rotation over at least one server.
func NewRotation(servers ...*Server) *Rotation {
	ro := new(Rotation)
	for _, s := range servers {
		ro.servers = append(ro.servers, &turn{Server: s})
	}
	return ro
}

// CloseIdle closes the connections that are not in use.
func (ro *Rotation) CloseIdle() {
	for _, t := range ro.servers {
		t.CloseIdle()
	}
}

// Retire closes the connections that are not in use, and keeps none from now on: nobody will ask again.
func (ro *Rotation) Retire() {
	for _, t := range ro.servers {
		t.Retire()
	}
}

// Do is Server.Do with the server whose turn it is. It also returns the server that was asked last.
func (ro *Rotation) Do(call *Call, r *message.Request) (*Response, *Server, error) {
	if len(ro.servers) == 1 {
		s := ro.servers[0].Server
		res, err := s.Do(call, r)
		return res, s, err
	}
	var last error
	var room [8]*turn
	order := ro.order(room[:0])
	for i, t := range order {
		res, err := t.Server.Do(call, r)
		if err == nil {
			t.downUntil.Store(0)
			return res, t.Server, nil
		}
		var connect *ConnectError
		if !errors.As(err, &connect) {
			return nil, t.Server, err
		}
		t.downUntil.Store(int64(now() + passOver))
		if i+1 < len(order) && call.PassedOver != nil {
			call.PassedOver(t.Server, err)
		}
		last = err
	}
	return nil, order[len(order)-1].Server, last
}

// order returns the servers beginning with the one whose turn it is; those that are down come last, since they may be up again.
func (ro *Rotation) order(up []*turn) []*turn {
	first := int((ro.next.Add(1) - 1) % uint32(len(ro.servers)))
	n := int64(now())
	var down []*turn
	for i := range ro.servers {
		t := ro.servers[(first+i)%len(ro.servers)]
		if until := t.downUntil.Load(); until != 0 && until > n {
			down = append(down, t)
		} else {
			up = append(up, t)
		}
	}
	return append(up, down...)
}
