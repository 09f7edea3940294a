//go:build unix

package tcpio

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Begin sends where nothing has come, and nothing where something has.
func TestBegin(t *testing.T) {
	c, d := pair(t)
	s := Of(c)
	if n, early, err := s.Begin([]byte("hello")); n != 5 || early || err != nil {
		t.Error(n, early, err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(d, got); string(got) != "hello" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	io.WriteString(d, "x")
	comes(t, s)
	if n, early, err := s.Begin([]byte("evil")); n != 0 || !early || err != nil {
		t.Error(n, early, err)
	}
	s.Read(got)
	narrow(c, d)
	if n, early, err := s.Begin(make([]byte, 64<<20)); n == 0 || n == 64<<20 || early || err != nil {
		t.Error(n, early, err)
	}
	c.Close()
	if n, early, err := s.Begin([]byte("hello")); n != 0 || early || !errors.Is(err, net.ErrClosed) {
		t.Error(n, early, err)
	}
}

// Stand takes in all that comes, however it comes, and sleeps meanwhile.
func TestStand(t *testing.T) {
	c, d := pair(t)
	s := Of(c)
	took := make(chan string)
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, 4)
		ended <- s.Stand(func() bool {
			for {
				n, ok, err := s.TakeIn(buf)
				switch {
				case !ok:
					return false
				case err != nil:
					took <- err.Error()
					return true
				}
				took <- string(buf[:n])
			}
		})
		close(took)
	}()
	for _, text := range []string{"a", "bcdef", "ghijklmn", "o"} {
		io.WriteString(d, text)
		for got := ""; got != text; {
			got += <-took
		}
	}
	d.CloseWrite()
	if got := <-took; got != "EOF" {
		t.Error(got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestStandEnds(t *testing.T) {
	nothing := func(s *Socket) func() bool {
		return func() bool {
			n, ok, err := s.TakeIn(make([]byte, 1))
			if ok {
				t.Error(n, err)
			}
			return false
		}
	}
	c, _ := pair(t)
	s := Of(c)
	c.SetReadDeadline(time.Unix(1, 0))
	var op *net.OpError
	if err := s.Stand(nothing(s)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "read" {
		t.Error(err)
	}
	c.SetReadDeadline(time.Time{})
	ended := make(chan error)
	go func() { ended <- s.Stand(nothing(s)) }()
	c.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}

	c, d := pair(t)
	s = Of(c)
	d.SetLinger(0)
	d.Close()
	if err := s.Stand(func() bool {
		n, ok, err := s.TakeIn(make([]byte, 1))
		if ok && (n != 0 || !errors.Is(err, syscall.ECONNRESET)) {
			t.Error(n, err)
		}
		return ok
	}); err != nil {
		t.Error(err)
	}
}
