//go:build unix

package tcpio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair is both ends of a connection over loopback.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c, err := net.Dial("tcp", in.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := in.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		d.Close()
	})
	for _, end := range []net.Conn{c, d} {
		end.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

// narrow makes the buffers of a connection small, whatever the system's are.
func narrow(c, d *net.TCPConn) {
	c.SetWriteBuffer(64 << 10)
	d.SetReadBuffer(64 << 10)
}

// comes waits until something has come.
func comes(t *testing.T, s *Socket) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); s.Quiet(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nothing has come")
		}
	}
}

// Somebody who stands before a socket, to count or to change, is not passed over.
func TestOf(t *testing.T) {
	c, _ := pair(t)
	in, out := net.Pipe()
	defer in.Close()
	defer out.Close()
	type counted struct{ *net.TCPConn }
	if Of(c) == nil || Of(counted{c}) != nil || Of(in) != nil {
		t.Error("a TCP connection has a socket, a pipe none, and of one inside something else nobody knows")
	}
}

// Read does what the connection's Read does: it waits, within deadlines, and words errors alike.
func TestRead(t *testing.T) {
	c, d := pair(t)
	s := Of(c)
	buf := make([]byte, 10)
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	late := time.AfterFunc(20*time.Millisecond, func() { io.WriteString(d, "late") })
	defer late.Stop()
	if n, err := s.Read(buf); string(buf[:n]) != "late" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := s.Read(buf)
	_, want := c.Read(buf)
	var limit net.Error
	if !errors.As(err, &limit) || !limit.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || err.Error() != want.Error() {
		t.Errorf("%v, want %v", err, want)
	}
	// A deadline that has passed counts for what is there, too.
	io.WriteString(d, "there")
	comes(t, s)
	if n, err := s.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	c.SetReadDeadline(time.Time{})
	if n, err := s.Read(buf[:2]); string(buf[:n]) != "th" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if n, err := s.Read(buf); string(buf[:n]) != "ere" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	// Another goroutine can stop who waits.
	stop := time.AfterFunc(20*time.Millisecond, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop.Stop()
	if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.SetReadDeadline(time.Time{})
	d.CloseWrite()
	if n, err := s.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	c.Close()
	if _, err := s.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestReadReset(t *testing.T) {
	c, d := pair(t)
	d.SetLinger(0)
	d.Close()
	_, err := Of(c).Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestTryRead(t *testing.T) {
	c, d := pair(t)
	s := Of(c)
	buf := make([]byte, 10)
	if n, ok, err := s.TryRead(buf); n != 0 || ok || err != nil || !s.Quiet() {
		t.Error(n, ok, err)
	}
	io.WriteString(d, "there")
	comes(t, s)
	if n, ok, err := s.TryRead(buf); string(buf[:n]) != "there" || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if _, ok, _ := s.TryRead(nil); ok {
		t.Error("there is no room")
	}
	d.CloseWrite()
	comes(t, s)
	if n, ok, err := s.TryRead(buf); n != 0 || !ok || err != io.EOF {
		t.Error(n, ok, err)
	}
	c.Close()
	if n, ok, err := s.TryRead(buf); n != 0 || ok || err != nil {
		t.Error(n, ok, err)
	}
	if s.Quiet() {
		t.Error("what is closed is not quiet")
	}
}

// What the socket does not take at once is left to waiting, and nothing is lost or doubled between the two.
func TestWrite(t *testing.T) {
	c, d := pair(t)
	narrow(c, d)
	s := Of(c)
	content := make([]byte, 8<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	whole, end := pair(t)
	first := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(end)
		first <- all
	}()
	if n, err := Of(whole).Write(content); n != len(content) || err != nil {
		t.Fatal(n, err)
	}
	whole.CloseWrite()
	if !bytes.Equal(<-first, content) {
		t.Error("something else arrived")
	}
	n, err := s.TryWrite(content, false)
	if n == 0 || n == len(content) || err != nil {
		t.Fatalf("%d bytes without waiting, %v", n, err)
	}
	if more, err := s.TryWrite(content[n:], false); err != nil || n+more == len(content) {
		t.Fatal(more, err)
	} else {
		n += more
	}
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(d)
		got <- all
	}()
	rest, err := s.Write(content[n:])
	if n+rest != len(content) || err != nil {
		t.Fatal(n, rest, err)
	}
	c.CloseWrite()
	if !bytes.Equal(<-got, content) {
		t.Error("something else arrived")
	}
	if _, err := s.TryWrite([]byte("x"), false); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	c.Close()
	if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestWriteWaitsWithinDeadlines(t *testing.T) {
	c, d := pair(t)
	narrow(c, d)
	// On a slow machine a short one may have passed before anything is written.
	for wait := 20 * time.Millisecond; ; wait *= 5 {
		c.SetWriteDeadline(time.Now().Add(wait))
		n, err := Of(c).Write(make([]byte, 8<<20))
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && wait < 10*time.Second {
			continue
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
		return
	}
}

// answers reads a request of so many bytes and says something.
func answers(d net.Conn, n int, text string) {
	io.ReadFull(d, make([]byte, n))
	io.WriteString(d, text)
}

func TestAsk(t *testing.T) {
	c, d := pair(t)
	s := Of(c)
	buf := make([]byte, 10)
	for range 3 {
		go answers(d, 7, "answer")
		if a := s.Ask([]byte("request"), nil, buf); a != (Answer{Sent: 7, Read: 6}) || string(buf[:6]) != "answer" {
			t.Fatalf("%+v %q", a, buf)
		}
	}
	// Another goroutine can stop who waits; the request is sent then.
	go func() {
		io.ReadFull(d, make([]byte, 7))
		c.SetDeadline(time.Unix(1, 0))
	}()
	if a := s.Ask([]byte("request"), nil, buf); a.Sent != 7 || a.Read != 0 || !errors.Is(a.Err, os.ErrDeadlineExceeded) {
		t.Errorf("%+v", a)
	}
	// Once it has passed nothing is sent.
	if a := s.Ask([]byte("request"), nil, buf); a.Sent != 0 || !errors.Is(a.Err, os.ErrDeadlineExceeded) {
		t.Errorf("%+v", a)
	}
	c.SetDeadline(time.Time{})
	go func() {
		io.ReadFull(d, make([]byte, 7))
		d.Close()
	}()
	if a := s.Ask([]byte("request"), nil, buf); a.Sent != 7 || a.Read != 0 || a.Err != io.EOF {
		t.Errorf("%+v", a)
	}
	c.Close()
	if a := s.Ask([]byte("request"), nil, buf); a.Sent != 0 || !errors.Is(a.Err, net.ErrClosed) {
		t.Errorf("%+v", a)
	}
}

// Bytes that came before the request are not its answer.
func TestAskEarly(t *testing.T) {
	for name, spoil := range map[string]func(d *net.TCPConn){
		"bytes": func(d *net.TCPConn) { io.WriteString(d, "HTTP/1.1 200 OK\r\n\r\n") },
		"end":   func(d *net.TCPConn) { d.CloseWrite() },
		"reset": func(d *net.TCPConn) {
			d.SetLinger(0)
			d.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, d := pair(t)
			s := Of(c)
			spoil(d)
			comes(t, s)
			if a := s.Ask([]byte("request"), nil, make([]byte, 100)); a != (Answer{Early: true}) {
				t.Errorf("%+v", a)
			}
			if name != "reset" {
				d.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if n, _ := d.Read(make([]byte, 1)); n > 0 {
					t.Error("the request was sent")
				}
			}
		})
	}
}

// A request that the socket does not take at once is for the caller to go on with.
func TestAskLarge(t *testing.T) {
	c, d := pair(t)
	narrow(c, d)
	s := Of(c)
	request := make([]byte, 8<<20)
	a := s.Ask(request, nil, make([]byte, 10))
	if a.Sent == 0 || a.Sent == len(request) || a.Read != 0 || a.Early || a.Err != nil {
		t.Fatalf("%+v", a)
	}
	d.SetLinger(0)
	d.Close()
	comes(t, s)
	if n, err := s.Write(request[a.Sent:]); n == len(request)-a.Sent || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(n, err)
	}
}

func BenchmarkAsk(b *testing.B) {
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	go func() {
		c, err := in.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for buf := make([]byte, 100); ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			c.Write(buf[:n])
		}
	}()
	c, err := net.Dial("tcp", in.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request, buf := make([]byte, 100), make([]byte, 100)
	b.Run("Ask", func(b *testing.B) {
		s := Of(c)
		for b.Loop() {
			if a := s.Ask(request, nil, buf); a.Err != nil || a.Read != 100 {
				b.Fatal(a)
			}
		}
	})
	b.Run("net.Conn", func(b *testing.B) {
		for b.Loop() {
			c.Write(request)
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
