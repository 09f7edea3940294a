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

	read func(fd uintptr)
	into []byte
	n    int
	err  error
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

// try reads what is there without waiting. ok is false where nothing is, or where that cannot be told.
func (q *quiet) try(p []byte) (n int, ok bool) {
	if q.raw == nil {
		return 0, false
	}
	if q.read == nil {
		q.read = func(fd uintptr) { q.n, q.err = syscall.Read(int(fd), q.into) }
	}
	q.into, q.n, q.err = p, 0, syscall.EAGAIN
	err := q.raw.Control(q.read)
	q.into = nil
	return q.n, err == nil && q.err == nil && q.n > 0
}

// is reports whether nothing has come.
func (q *quiet) is() bool {
	if q.raw == nil {
		return true
	}
	q.ok = false
	return q.raw.Control(q.look) == nil && q.ok
}
