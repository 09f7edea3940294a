//go:build unix

package proxy

import (
	"net"
	"syscall"
)

// quiet looks whether anything has come on a connection that was idle, without waiting and without taking it. An end means that
// the server has closed it; bytes that nobody asked for would be taken for the answer to the next request.
type quiet struct {
	raw  syscall.RawConn // nil: it cannot be looked at
	look func(fd uintptr)
	ok   bool
	one  [1]byte
}

func (q *quiet) of(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	q.raw = raw
	q.look = func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), q.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		q.ok = err == syscall.EAGAIN || err == syscall.EINTR
	}
}

// is reports whether nothing has come.
func (q *quiet) is() bool {
	if q.raw == nil {
		return true
	}
	q.ok = false
	return q.raw.Control(q.look) == nil && q.ok
}
