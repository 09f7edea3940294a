package gateway

import (
	"errors"
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
