package proxy

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// slowBody gives its pieces when it is told to.
type slowBody struct {
	pieces chan []byte
	asked  chan struct{} // each time it is read
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.asked <- struct{}{}
	piece, ok := <-b.pieces
	if !ok {
		return 0, io.EOF
	}
	return copy(p, piece), nil
}

func (*slowBody) Trailers() message.Fields { return nil }
func (*slowBody) Stop()                    {}

// RFC 9112 section 8: "A message body that uses neither Content-Length nor Transfer-Encoding is [...] considered complete" when the connection
// closed; a reset is no close. A socket tells of it once, and here it is the write of the request's content that is told.
func TestResetThatOnlyAWriteIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cut := make(chan struct{})
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(c)
		for line := ""; line != "\r\n" && err == nil; {
			line, err = in.ReadString('\n')
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
		<-cut
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		cut <- struct{}{}
	}()
	b := &slowBody{make(chan []byte), make(chan struct{}, 10)}
	var call Call
	res, err := NewServer(Config{Address: l.Addr().String()}).Do(&call, &message.Request{
		Method: "POST", Authority: "a", Target: "/", Length: -1, Body: b, Major: 2})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := res.Read(buf); string(buf[:n]) != "half" || err != nil {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	<-b.asked
	cut <- struct{}{}
	<-cut
	time.Sleep(20 * time.Millisecond) // the reset is on its way, which nobody tells
	b.pieces <- []byte("more")
	close(b.pieces)
	deadline := time.After(20 * time.Second)
	for done := false; !done; {
		select {
		case <-b.asked: // the write went through: a moment too early
		case <-deadline:
			t.Fatal("the sender has not ended")
		default:
			select {
			case <-res.from.(*conn).send.done:
				done = true
			case <-time.After(time.Millisecond):
			}
		}
	}
	if n, err := res.Read(buf); err == nil || err == io.EOF {
		t.Errorf("an answer that was cut off ends with %d bytes and %v", n, err)
	}
	res.Close()
}
