package gateway

import (
	"errors"
	"sync"
	"syscall"
	"time"
)

// shortages are errors of accepting that say nothing of the socket, but of resources that come back.
var shortages = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// errManyH3 is a shortage, too: HTTP/3 takes no file for a connection, and has the same bound all the same.
var errManyH3 = errors.New("there are as many connections over HTTP/3 as files may be open")

// shortagePause is the least time between two warnings of a listener.
const shortagePause = time.Minute

// A shortage tells of connections that a listener cannot take, for a reason that only the operator can change. It is safe for concurrent
// use.
type shortage struct {
	listener *listener

	mu     sync.Mutex
	warned time.Time
}

// tell warns, now and then.
func (s *shortage) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.warned) < shortagePause {
		return
	}
	s.warned = now
	attrs := []any{"listener", s.listener.name, "error", err.Error()}
	if isOneOf(err, []error{syscall.EMFILE, syscall.ENFILE, errManyH3}) {
		attrs = append(attrs, "cure", cureOpenFiles)
	}
	s.listener.gateway.logger().Warn("connections cannot be accepted", attrs...)
}

const cureOpenFiles = "raise the limit of open files: ulimit -n, or LimitNOFILE of systemd"
