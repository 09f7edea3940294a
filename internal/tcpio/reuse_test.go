//go:build unix

package tcpio

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A descriptor that is closed gets its number's next owner at once, most likely in this very process. Whoever uses a socket at the moment in
// which somebody else closes it must not write into that one's connection, nor read from it: what comes on a connection has its own mark,
// eight bytes again and again, whatever is closed meanwhile.
func TestClosedUnderItsUser(t *testing.T) {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var dialing sync.Mutex // so that both ends are of one connection
	dial := func() (c, d net.Conn) {
		dialing.Lock()
		defer dialing.Unlock()
		c, err := net.Dial("tcp", in.Addr().String())
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		if d, err = in.Accept(); err != nil {
			t.Error(err)
		}
		return c, d
	}
	const workers, rounds = 6, 30
	var each sync.WaitGroup
	for worker := range workers {
		each.Go(func() {
			for round := range rounds {
				c, d := dial()
				if c == nil || d == nil {
					return
				}
				mine, theirs := mark(worker, round, 0), mark(worker, round, 1)
				var both sync.WaitGroup
				both.Go(func() { foreign(t, d, mine) })
				both.Go(func() { // the other end speaks too
					for err := error(nil); err == nil; {
						_, err = d.Write(theirs)
					}
				})
				use(t, Of(c), mine, theirs, func() { c.Close() }, time.Duration(round%7)*50*time.Microsecond, round%3)
				d.Close()
				both.Wait()
			}
		})
	}
	each.Wait()
}

// mark is what one end of one connection says.
func mark(worker, round, end int) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(worker)<<40|uint64(round)<<8|uint64(end)|1<<63), 64)
}

// foreign reads to the end, and fails where something else than the mark comes.
func foreign(t *testing.T, r io.Reader, mark []byte) {
	buf := make([]byte, 4<<10)
	for at := 0; ; {
		n, err := r.Read(buf)
		at = check(t, buf[:n], mark, at)
		if err != nil {
			return
		}
	}
}

func check(t *testing.T, p, mark []byte, at int) int {
	for _, b := range p {
		if b != mark[at%8] {
			t.Errorf("a byte of somebody else")
			return at
		}
		at++
	}
	return at
}

// use reads and writes until the socket is closed, which somebody else does after a while.
func use(t *testing.T, s *Socket, mine, theirs []byte, end func(), after time.Duration, how int) {
	var both sync.WaitGroup
	closed := make(chan struct{})
	both.Go(func() {
		time.Sleep(after)
		end()
		close(closed)
	})
	over := func() bool {
		select {
		case <-closed:
			return true
		default:
			return false
		}
	}
	wrote := 0 // the mark goes on where the last write has ended
	both.Go(func() {
		for more := 2; how < 2 && more > 0; {
			if over() {
				more-- // and on, for a moment
			}
			n, _ := s.TryWrite(mine[wrote%8:], false)
			wrote += n
			runtime.Gosched()
		}
	})
	both.Go(func() {
		buf := make([]byte, 1<<10)
		read := 0
		for more := 2; more > 0; {
			if over() {
				more--
			}
			runtime.Gosched()
			switch how {
			case 0:
				n, _, _ := s.TryRead(buf)
				read = check(t, buf[:n], theirs, read)
			case 1:
				n, _ := s.Read(buf)
				read = check(t, buf[:n], theirs, read)
			default:
				a := s.Ask(mine[wrote%8:], nil, buf)
				wrote += a.Sent
				read = check(t, buf[:a.Read], theirs, read)
				if a.Early {
					n, _, _ := s.TryRead(buf)
					read = check(t, buf[:n], theirs, read)
				}
				s.Quiet()
			}
		}
	})
	both.Wait()
}
