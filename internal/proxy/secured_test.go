package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
)

// held is a socket that sends what is written to it at once, when it is told to: several TLS records, say, or a part of one.
type held struct {
	net.Conn
	holds bool
	bytes.Buffer
}

func (h *held) Write(p []byte) (int, error) {
	if h.holds {
		return h.Buffer.Write(p)
	}
	return h.Conn.Write(p)
}

func (h *held) Read(p []byte) (int, error) { return h.Conn.Read(p) }

// release sends what was held, but for the last n bytes.
func (h *held) release(but int) {
	h.Conn.Write(h.Bytes()[:h.Len()-but])
}

// RFC 9112 section 9.2: "A client that [...] receives data on a connection that does not have any outstanding requests [...] MUST close
// the connection". Over TLS what was sent too much has often been read from the socket already, with the records of the answer, where
// looking at the socket does not find it.
func TestBytesOnAnIdleSecuredConnection(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Server(t, "home.test")
	const evil = ok + "Content-Length: 4\r\n\r\nevil"
	big := strings.Repeat("0123456789abcdef", 2*direct/16)
	for _, test := range []struct {
		name, method string
		records      []string
		but          int // so many bytes of the last record do not come
		want         string
	}{
		{name: "nothing", records: []string{hello}, want: `200 "reused"`},
		{name: "a second answer in a record of its own", records: []string{hello, evil}},
		{name: "a second answer in the record of the content", records: []string{ok + "Content-Length: 8192\r\n\r\n", big + evil}},
		{name: "HEAD with content", method: "HEAD", records: []string{ok + "Content-Length: 40\r\n\r\n", evil}},
		{name: "304 with content", records: []string{"HTTP/1.1 304 Not Modified\r\n\r\n", evil}},
		{name: "a piece of a record", records: []string{hello, evil}, but: 3},
		{name: "the beginning of a record's header", records: []string{hello, evil}, but: len(evil) + 5 + 17 - 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var dialled int
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			s := NewServer(Config{Address: l.Addr().String(), TLS: &tls.Config{ServerName: "home.test", RootCAs: ca.Pool()},
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					dialled++
					return new(net.Dialer).DialContext(ctx, network, address)
				}})
			served := make(chan struct{})
			go func() {
				defer close(served)
				for n := 1; ; n++ {
					raw, err := l.Accept()
					if err != nil {
						return
					}
					h := &held{Conn: raw}
					c := tls.Server(h, &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
					p := &peer{c, bufio.NewReader(c), t}
					p.head()
					if n == 2 {
						p.say(ok + "Content-Length: 5\r\nConnection: close\r\n\r\nfresh")
						raw.Close()
						return
					}
					h.holds = true
					for _, record := range test.records {
						p.say(record)
					}
					h.release(test.but)
					h.holds = false
					if _, more := p.head(); more && test.but == 0 {
						p.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nreused")
						p.head()
					}
					raw.Close()
				}
			}()
			r := get("/")
			if test.method != "" {
				r.Method = test.method
			}
			res, err := s.Do(new(Call), r)
			for room := make([]byte, 64<<10); err == nil; _, err = res.Read(room) { // as the gateway does: much at a time
			}
			if err != io.EOF {
				t.Fatal(err)
			}
			res.Close()
			want := test.want
			if want == "" {
				want = `200 "fresh"`
			}
			if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != want {
				t.Errorf("the next answer is %s, want %s", got, want)
			}
			s.CloseIdle()
			l.Close()
			<-served
		})
	}
}
