package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

// slowly is a server that answers with one text after the other, each but the first when it is let, and then ends the connection, or
// resets it.
func slowly(t *testing.T, secure bool, config Config, texts ...string) (s *Server, let func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if secure {
		ca := testca.New(t)
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "upstream.test")}})
		config.TLS = &tls.Config{ServerName: "upstream.test", RootCAs: ca.Pool()}
	}
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
				raw := rawOf(c)
				raw.SetLinger(0)
				raw.Close() // without TLS's farewell
				break
			}
			io.WriteString(c, text)
			<-going
		}
	}()
	config.Address = l.Addr().String()
	return NewServer(config), func() { going <- struct{}{} }
}

func rawOf(c net.Conn) *net.TCPConn {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	return c.(*net.TCPConn)
}

// tried reads an answer by TryRead and Await. There is a bar for each time that there was waiting.
func tried(res *Response, let func()) string {
	defer res.Close()
	got := ""
	wait := func() {
		got += "|"
		let()
	}
	res.OnWait(wait) // is not called
	err := taking(res, 64<<10, wait, func(p []byte) { got += string(p) })
	return got + " " + kind(err)
}

// taking reads an answer to its end by TryRead and Await, with room for so much at a time.
func taking(res *Response, room int, wait func(), piece func(p []byte)) error {
	for buf := make([]byte, room); ; {
		n, ok, err := res.TryRead(buf)
		if n > 0 {
			piece(buf[:n])
		}
		switch {
		case err != nil:
			return err
		case !ok:
			wait()
			res.Await()
		}
	}
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
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				s, let := slowly(t, secure, Config{Idle: 20 * time.Second}, test.texts...)
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
	}
}

var long = strings.Repeat("long", 8*inputSize)

func TestTryReadMuch(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s, let := slowly(t, secure, Config{}, fmt.Sprintf("%sContent-Length: %d\r\n\r\n", ok, len(long)), long)
		defer s.CloseIdle()
		res, err := s.Do(new(Call), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		got, most := "", 0
		err = taking(res, 64<<10, let, func(p []byte) {
			got += string(p)
			most = max(most, len(p))
		})
		if got != long || err != io.EOF || most <= inputSize {
			t.Errorf("TLS %v: %d bytes, %d at most at once, and then %v", secure, len(got), most, err)
		}
		res.Close()
	}
}

// Over HTTP/2 nobody knows what is at hand before it was awaited, with a little memory.
func TestTryReadInHTTP2(t *testing.T) {
	for name, texts := range map[string][]string{
		"a little":       {"hello ", "wor", "ld"},
		"just the room":  {long[:len(little{})], "wor", long[:2*len(little{})], "ld"},
		"more than that": {long, "wor", long},
		"nothing":        {},
	} {
		for _, room := range []int{64 << 10, 1000} {
			going := make(chan struct{}, 100)
			s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				w.(http.Flusher).Flush()
				for _, text := range texts {
					io.WriteString(w, text)
					w.(http.Flusher).Flush()
					<-going
				}
				w.Header().Set("X-Sum", "7")
			}), Config{Idle: 20 * time.Second})
			res, err := s.Do(new(Call), get("/"))
			if err != nil {
				t.Fatal(err)
			}
			got, want := "", strings.Join(texts, "")
			waits, at, after := 0, 0, 0
			err = taking(res, room, func() { waits++ }, func(p []byte) {
				for got += string(p); at < len(texts) && len(got) >= after+len(texts[at]); at++ {
					after += len(texts[at])
					going <- struct{}{}
				}
			})
			if err != io.EOF || got != want {
				t.Errorf("%s, room for %d: %d bytes and then %v, want %d", name, room, len(got), err, len(want))
			}
			if room > len(little{}) && waits < len(texts) {
				t.Errorf("%s: waited %d times, want %d at least", name, waits, len(texts))
			}
			if f := res.Trailers(); fmt.Sprint(f) != "[{x-sum 7}]" {
				t.Errorf("%s: trailers %v", name, f)
			}
			res.Close()
		}
	}
}

// Many servers write 4 KiB at once. That such a piece is whole says nothing of what is behind it, and what comes is awaited with little memory.
func TestAwaitPiecesInHTTP2(t *testing.T) {
	const pieces = 6
	going := make(chan struct{})
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range pieces {
			io.WriteString(w, long[:4<<10])
			w.(http.Flusher).Flush()
			<-going
		}
	}), Config{Idle: 20 * time.Second})
	res, err := s.Do(new(Call), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	waits, got := 0, 0
	err = taking(res, 64<<10, func() { waits++ }, func(p []byte) {
		if got += len(p); got%(4<<10) == 0 {
			going <- struct{}{}
		}
	})
	if err != io.EOF || got != pieces*4<<10 || waits != pieces+1 {
		t.Errorf("%d bytes and then %v, awaited %d times, want %d pieces and the end to be", got, err, waits, pieces)
	}
}

// Await ends with the limits and with cancellation, and TryRead says so.
func TestAwaitEnds(t *testing.T) {
	inEach(t, func(t *testing.T, protocol string) {
		stop := make(chan struct{})
		defer close(stop)
		for _, want := range []string{"hello timeout idle", "hello canceled"} {
			s := real(t, protocol, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "hello")
				w.(http.Flusher).Flush()
				<-stop
			}), Config{})
			var call Call
			res, err := s.Do(&call, get("/"))
			if err != nil {
				t.Fatal(err)
			}
			// Nothing ends the waiting before all is there.
			end := sync.OnceFunc(func() { go call.Cancel() })
			if want == "hello timeout idle" {
				end = func() { s.config.Idle = 50 * time.Millisecond }
			}
			got := ""
			err = taking(res, 64<<10, func() {
				if got == "hello" {
					end()
				}
			}, func(p []byte) { got += string(p) })
			if got += " " + kind(err); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			res.Close()
		}
	})
}

// TLS says with an alert what it does not understand, and that waits for whatever is being sent. So reading may have to wait although something
// is at hand, and the limit of waiting holds.
func TestTryReadBehindWriting(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Server(t, "upstream.test")
	config := Config{Idle: 100 * time.Millisecond, TLS: &tls.Config{ServerName: "upstream.test", RootCAs: ca.Pool()}}
	over := make(chan struct{})
	s, _ := newPiped(t, config, func(_ int, c *peer) {
		wire := &held{Conn: c.Conn}
		// Tickets would wait for being read.
		secured := tls.Server(wire, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
		secured.Read(make([]byte, 1<<10)) // and no more: what is written to a pipe waits for that
		wire.holds = true
		io.WriteString(secured, ok+"Content-Length: 11\r\n\r\nhello ")
		wire.Buffer.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)) // a record that nobody has sealed
		wire.release(0)
		<-over
	})
	res, err := s.Do(new(Call), send("POST", -1, &pieces{left: []string{"some", "more"}}))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() { got <- tried(res, func() {}) }()
	select {
	case got := <-got:
		if got != "hello  timeout idle" {
			t.Errorf("%q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("there is no limit")
	}
	close(over)
}
