//go:build unix

package proxy

import (
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// Do does not take a connection on which something has come, even where nobody has noticed that yet.
func TestSit(t *testing.T) {
	s, sc := newScripted(t, Config{}, func(n int, c *peer) {
		c.head()
		c.say(hello)
		if n == 1 {
			c.say("\n")
		}
		c.head()
	})
	ro := NewRotation(s)
	ro.Begin(new(Call), get("/"), make(told, 1))
	res, err := s.Do(new(Call), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(res, make([]byte, 5))
	c := res.from.(*conn)
	res.Close()
	for deadline := time.Now().Add(20 * time.Second); stands(s, c) && !peeks(c.raw.(syscall.Conn)); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("nothing has come")
		}
	}
	if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "hello"` || sc.dialled() != 2 {
		t.Error(got, sc.dialled())
	}
}

func stands(s *Server, c *conn) bool {
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	return slices.Contains(s.home.standing, c)
}

// peeks reports whether something can be read, or nothing ever again. Who waits for that is not disturbed.
func peeks(c syscall.Conn) (some bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		some = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return some || err != nil
}
