//go:build unix

package proxy

import (
	"io"
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

// try reads what is there without waiting. ok is false where nothing is, or where that cannot be told; then nothing was taken.
func (q *quiet) try(p []byte) (n int, ok bool, err error) {
	if q.raw == nil || len(p) == 0 {
		return 0, false, nil
	}
	if q.read == nil {
		q.read = func(fd uintptr) { q.n, q.err = syscall.Read(int(fd), q.into) }
	}
	q.into, q.n, q.err = p, 0, syscall.EAGAIN
	if err := q.raw.Control(q.read); err != nil {
		q.err = syscall.EAGAIN // it is closed: reading says so
	}
	q.into = nil
	switch {
	case q.err == syscall.EAGAIN || q.err == syscall.EINTR:
		return 0, false, nil
	case q.err != nil:
		// The socket has told its error, and would say no more than that it has ended.
		return 0, true, q.err
	case q.n == 0:
		return 0, true, io.EOF
	}
	return q.n, true, nil
}

// is reports whether nothing has come.
func (q *quiet) is() bool {
	if q.raw == nil {
		return true
	}
	q.ok = false
	return q.raw.Control(q.look) == nil && q.ok
}
