package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// slowly is a server that answers with one text after the other, each but the first when it is let, and then ends the connection, or
// resets it.
func slowly(t *testing.T, config Config, texts ...string) (s *Server, let func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	going := make(chan struct{}, 100)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4<<10))
		for _, text := range texts {
			if text == "reset" {
				c.(*net.TCPConn).SetLinger(0)
				break
			}
			io.WriteString(c, text)
			<-going
		}
	}()
	config.Address = l.Addr().String()
	return NewServer(config), func() { going <- struct{}{} }
}

// tried reads an answer by TryRead and Await. There is a bar for each time that there was waiting.
func tried(res *Response, let func()) string {
	defer res.Close()
	got, buf := "", make([]byte, 64<<10)
	wait := func() {
		got += "|"
		let()
	}
	res.OnWait(wait) // is not called
	for range 10_000 {
		n, ok, err := res.TryRead(buf)
		got += string(buf[:n])
		if err != nil {
			return got + " " + kind(err)
		}
		if !ok {
			wait()
			res.Await()
		}
	}
	return got + " without end"
}

// TryRead waits for nothing, and Await for whatever comes, however the content ends.
func TestTryRead(t *testing.T) {
	for name, test := range map[string]struct {
		texts []string
		want  string
	}{
		"by length":       {[]string{ok + "Content-Length: 11\r\n\r\nhello ", "wor", "ld"}, "hello |wor|ld EOF"},
		"chunked":         {[]string{ok + "Transfer-Encoding: chunked\r\n\r\n6\r\nhello ", "\r\n5\r\nwor", "ld\r\n0\r\n\r\n"}, "hello |wor|ld EOF"},
		"a cut size":      {[]string{ok + "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n0", "5\r\nworld\r\n", "0\r\n\r\n"}, "hello |world| EOF"},
		"until the close": {[]string{ok + "\r\nhello ", "wor", "ld"}, "hello |wor|ld| EOF"},
		"a reset":         {[]string{ok + "\r\nhello ", "wor", "reset"}, "hello |wor| closed"},
		"broken off":      {[]string{ok + "Content-Length: 11\r\n\r\nhello ", "wor"}, "hello |wor| closed"},
		"malformed":       {[]string{ok + "Transfer-Encoding: chunked\r\n\r\n6\r\nhello ", "\r\nx\r\n"}, "hello | malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, let := slowly(t, Config{Idle: 20 * time.Second}, test.texts...)
			defer s.CloseIdle()
			res, err := s.Do(new(Call), get("/"))
			if err != nil {
				t.Fatal(err)
			}
			if got := tried(res, let); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	t.Run("more than the connection's buffer", func(t *testing.T) {
		long := strings.Repeat("long", 8*inputSize)
		s, let := slowly(t, Config{}, fmt.Sprintf("%sContent-Length: %d\r\n\r\n", ok, len(long)), long)
		defer s.CloseIdle()
		res, err := s.Do(new(Call), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(tried(res, let), "|", ""); got != long+" EOF" {
			t.Errorf("%d bytes, %.100q", len(got), got)
		}
	})
}

// Await ends with the limits and with cancellation, and TryRead says so.
func TestAwaitEnds(t *testing.T) {
	s, _ := slowly(t, Config{Idle: 50 * time.Millisecond}, ok+"\r\nhello")
	res, err := s.Do(new(Call), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tried(res, func() {}), "hello| timeout idle"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s, _ = slowly(t, Config{}, ok+"\r\nhello")
	var call Call
	if res, err = s.Do(&call, get("/")); err != nil {
		t.Fatal(err)
	}
	if got, want := tried(res, func() { go call.Cancel() }), "hello| canceled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
