package proxy

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// OnWait is told before each wait for the server and at no other time; what it takes is not the server's time.
func TestOnWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPiped(t, Config{Idle: 3 * time.Second}, func(_ int, c *peer) {
			c.head()
			c.say(ok + "Content-Length: 15\r\n\r\nhello")
			c.say("again")
			c.say("after")
			c.head()
		})
		res, err := s.Do(new(Call), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		res.OnWait(func() {
			told += "wait "
			time.Sleep(time.Minute)
		})
		for _, room := range []int{3, 9, 9, direct} {
			buf := make([]byte, room)
			n, err := res.Read(buf)
			told += string(buf[:n]) + " "
			if err != nil && err != io.EOF {
				t.Error(err)
			}
		}
		res.Close()
		if want := "hel lo wait again wait after "; told != want {
			t.Errorf("%q, want %q", told, want)
		}
	})
}

// A server that never stops cannot keep an answer from being stopped.
func TestStopWhileBytesFlow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, ok+"\r\n")
		for block := bytes.Repeat([]byte("x"), 1<<20); err == nil; _, err = c.Write(block) {
		}
	}()
	var call Call
	res, err := NewServer(Config{Address: l.Addr().String()}).Do(&call, get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	res.OnWait(func() {})
	buf := make([]byte, 16<<10)
	for range 100 {
		if _, err := res.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	c := res.from.(*conn)
	for c.quiet() {
		runtime.Gosched() // until more has come
	}
	call.Cancel()
	if n, err := res.Read(buf); c.raw != c.net || kind(err) != "canceled" {
		t.Error(n, err)
	}
}
