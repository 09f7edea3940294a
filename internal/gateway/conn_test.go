package gateway

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/tcpio"
)

// A write deadline that somebody has set counts for what the socket would take at once, too; the one that each write gets does not outlast
// it.
func TestConnWriteDeadline(t *testing.T) {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	nc, err := net.Dial("tcp", in.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.(*net.TCPConn).SetWriteBuffer(64 << 10)
	c := &conn{Conn: nc, socket: tcpio.Of(nc), stall: 20 * time.Millisecond}
	c.SetWriteDeadline(time.Now().Add(-time.Second))
	if n, err := c.Write([]byte("late")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
	c.SetWriteDeadline(time.Time{})
	for range 2 {
		if n, err := c.Write([]byte("in time")); n != 7 || err != nil {
			t.Error(n, err)
		}
		time.Sleep(2 * c.stall)
	}
	if n, err := c.Write(make([]byte, 64<<20)); n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
}

// told is a connection inside TLS that notes what is written, and whether more is to come.
type told struct {
	net.Conn
	c    *conn
	what []string
}

func (n *told) Write(p []byte) (int, error) {
	n.what = append(n.what, fmt.Sprint(len(p), n.c.more.Load()))
	return len(p), nil
}

// All records but the last one are said to be followed by another one; the last one goes out.
func TestConnWriteWhole(t *testing.T) {
	for size, want := range map[int]string{
		0: "[0 false]", 1: "[1 false]", recordSize: "[16384 false]", recordSize + 1: "[16384 true 1 false]", 3 * recordSize: "[32768 true 16384 false]",
	} {
		c := new(conn)
		n := &told{c: c}
		if wrote, err := c.writeWhole(n, make([]byte, size)); wrote != size || err != nil || fmt.Sprint(n.what) != want || c.more.Load() {
			t.Errorf("%d: %d, %v, %v, want %s", size, wrote, err, n.what, want)
		}
	}
}
