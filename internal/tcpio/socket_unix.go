//go:build unix

package tcpio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// A Socket is the socket of a TCP connection, which remains whose it is. One goroutine at a time may read (Read, TryRead, Ask, Quiet)
// and one write (TryWrite, Ask); others wait for it.
type Socket struct {
	conn net.Conn
	raw  syscall.RawConn

	reading sync.Mutex // and what is below
	await   func(fd uintptr) bool
	at      func(fd uintptr)
	step    step
	into    []byte
	read    int
	readErr error
	request []byte // of Ask
	tail    []byte
	sent    int
	listen  func(fd uintptr)
	silent  bool
	wake    func(fd uintptr) bool
	turned  func() bool // of Stand
	fd      uintptr     // while turned is called

	writing  sync.Mutex // and what is below
	try      func(fd uintptr)
	begin    func(fd uintptr)
	early    bool
	from     []byte
	more     bool
	wrote    int
	writeErr error
}

// A step is what comes next on the way of Ask.
type step uint8

const (
	look  step = iota // whether anything has come, and send the request where nothing has
	wait              // for something to come
	early             // nothing: it had
)

// Of returns the socket of a connection; nil: it has none that is known here.
func Of(c net.Conn) *Socket {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil // somebody stands before the socket, and is not to be passed over
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	s := &Socket{conn: c, raw: raw}
	s.await, s.at, s.listen, s.try, s.begin, s.wake = s.turn, s.readNow, s.quietNow, s.writeNow, s.beginNow, s.standing
	return s
}

// Read is the connection's Read.
func (s *Socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.into, s.read, s.readErr, s.step = p, 0, nil, wait
	err := s.raw.Read(s.await)
	s.into = nil
	return s.result(err)
}

// result is what reading has come to. err is why there was no waiting.
func (s *Socket) result(err error) (int, error) {
	switch {
	case err != nil:
		return 0, s.wrap("read", err)
	case s.readErr != nil:
		return 0, s.wrap("read", os.NewSyscallError("read", s.readErr))
	case s.read == 0:
		return 0, io.EOF
	}
	return s.read, nil
}

// wrap words an error as package net does.
func (s *Socket) wrap(op string, err error) error {
	var of *net.OpError
	if errors.As(err, &of) {
		err = of.Err
	}
	return &net.OpError{Op: op, Net: s.conn.LocalAddr().Network(), Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(), Err: err}
}

// TryRead reads what is there without waiting. ok is false where nothing is; then nothing was taken. It does not see deadlines.
func (s *Socket) TryRead(p []byte) (n int, ok bool, err error) {
	if len(p) == 0 {
		return 0, false, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.into, s.read, s.readErr = p, 0, syscall.EAGAIN
	err = s.raw.Control(s.at)
	s.into = nil
	if err != nil || s.readErr == syscall.EAGAIN {
		return 0, false, nil // where it is closed, reading says so
	}
	n, err = s.result(nil)
	return n, true, err
}

func (s *Socket) readNow(fd uintptr) { s.read, s.readErr = read(fd, s.into) }

// Quiet reports whether nothing has come, neither bytes nor the end.
func (s *Socket) Quiet() bool {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.silent = false
	return s.raw.Control(s.listen) == nil && s.silent
}

func (s *Socket) quietNow(fd uintptr) { s.silent = quiet(fd) }

// Stand calls turn, and again whenever something may have come, until turn returns true: then it returns nil. It also returns where the
// connection is closed, or its deadline for reading has passed. What turn reads it reads with TakeIn; nobody else can read meanwhile.
//
// While turn takes in all that is there, or less than it has room for, it is called again for whatever comes later. Only an end that comes
// together with the last bytes goes unnoticed until the next ones should come.
func (s *Socket) Stand(turn func() bool) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.turned = turn
	err := s.raw.Read(s.wake)
	s.turned = nil
	if err != nil {
		err = s.wrap("read", err)
	}
	return err
}

func (s *Socket) standing(fd uintptr) bool {
	s.fd = fd
	return s.turned()
}

// TakeIn reads what is there, from within the turn of Stand. ok is false where nothing is.
func (s *Socket) TakeIn(p []byte) (n int, ok bool, err error) {
	n, err = read(s.fd, p)
	switch {
	case err == syscall.EAGAIN:
		return 0, false, nil
	case err != nil:
		return 0, true, s.wrap("read", os.NewSyscallError("read", err))
	case n == 0:
		return 0, true, io.EOF
	}
	return n, true, nil
}

// TryWrite writes what the socket takes without waiting. It does not see deadlines. more says that another write follows at once, and
// that what is written now may wait for it to fill a segment.
func (s *Socket) TryWrite(p []byte, more bool) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.from, s.more, s.wrote, s.writeErr = p, more, 0, nil
	err := s.raw.Control(s.try)
	s.from = nil
	switch {
	case err != nil:
		return 0, s.wrap("write", err)
	case s.writeErr != nil && s.writeErr != syscall.EAGAIN:
		return s.wrote, s.wrap("write", os.NewSyscallError("write", s.writeErr))
	}
	return s.wrote, nil
}

// Begin is TryWrite of a request, before which nothing may have come that its answer would be looked for in: early says that something had, and
// that nothing was written. An end that has come is found by reading.
func (s *Socket) Begin(p []byte) (n int, early bool, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.from, s.more, s.wrote, s.writeErr, s.early = p, false, 0, nil, false
	err = s.raw.Control(s.begin)
	s.from = nil
	switch {
	case err != nil:
		return 0, false, s.wrap("write", err)
	case s.writeErr != nil && s.writeErr != syscall.EAGAIN:
		return s.wrote, false, s.wrap("write", os.NewSyscallError("write", s.writeErr))
	}
	return s.wrote, s.early, nil
}

func (s *Socket) beginNow(fd uintptr) {
	if s.early = waiting(fd); !s.early {
		s.writeNow(fd)
	}
}

// Write is the connection's Write, but that a deadline counts only where there is waiting.
func (s *Socket) Write(p []byte) (int, error) {
	n, err := s.TryWrite(p, false)
	if n == len(p) || err != nil {
		return n, err
	}
	rest, err := s.conn.Write(p[n:])
	return n + rest, err
}

func (s *Socket) writeNow(fd uintptr) {
	for s.wrote < len(s.from) && s.writeErr == nil {
		var n int
		n, s.writeErr = write(fd, s.from[s.wrote:], s.more)
		s.wrote += n
	}
}

// An Answer is what came of a request.
type Answer struct {
	// Early says that something had come before the request, or the end, and that it was not sent for that reason.
	Early bool
	// Sent is how much of the request was. Where it is not all of it, nothing was read, and Err is that of writing; nil: the socket
	// takes no more without waiting.
	Sent int
	// Read bytes of the answer have come, or reading ended with Err.
	Read int
	Err  error
}

// Ask sends a request, and what belongs behind it, and waits for the first of the answer, which it reads into p. It spares the attempt to
// read before an answer can be there.
func (s *Socket) Ask(request, tail, p []byte) Answer {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.reading.Lock()
	defer s.reading.Unlock()
	s.request, s.tail, s.sent, s.into, s.read, s.readErr, s.step = request, tail, 0, p, 0, nil, look
	err := s.raw.Read(s.await)
	s.request, s.tail, s.into = nil, nil, nil
	all := len(request) + len(tail)
	switch {
	case err == nil && s.step == early:
		return Answer{Early: true}
	case s.sent < all && err != nil:
		return Answer{Sent: s.sent, Err: s.wrap("write", err)}
	case s.sent < all && s.readErr != nil:
		return Answer{Sent: s.sent, Err: s.wrap("write", os.NewSyscallError("write", s.readErr))}
	case s.sent < all:
		return Answer{Sent: s.sent}
	}
	n, err := s.result(err)
	return Answer{Sent: s.sent, Read: n, Err: err}
}

// turn does what can be done without waiting, and reports whether that was all. The waiting that follows ends by what has come since
// raw.Read was called, and not by what had come before: so nothing must have.
func (s *Socket) turn(fd uintptr) bool {
	switch s.step {
	case look:
		if !quiet(fd) {
			s.step = early
			return true
		}
		s.step = wait
		return !s.sendNow(fd)
	default:
		s.read, s.readErr = read(fd, s.into)
		return s.readErr != syscall.EAGAIN
	}
}

// sendNow sends the request, and reports whether that went without waiting.
func (s *Socket) sendNow(fd uintptr) bool {
	s.sent, s.readErr = write(fd, s.request, len(s.tail) > 0)
	if s.sent == len(s.request) && len(s.tail) > 0 {
		var n int
		n, s.readErr = write(fd, s.tail, false)
		s.sent += n
	}
	if s.readErr == syscall.EAGAIN {
		s.readErr = nil
	}
	return s.sent == len(s.request)+len(s.tail)
}
