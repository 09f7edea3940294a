package proxy

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// rawServer answers every request of a connection with the same bytes, so that the client is what is measured.
func rawServer(tb testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

const benchAnswer = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nServer: bench\r\n" +
	"Content-Length: 12\r\n\r\nhello world\n"

func BenchmarkGet(b *testing.B) {
	s := NewServer(Config{Address: rawServer(b, benchAnswer), FirstByte: time.Minute, Idle: time.Minute, Whole: time.Hour})
	defer s.CloseIdle()
	r := &message.Request{Method: "GET", Authority: "example.com", Target: "/", Fields: message.Fields{
		{Name: "accept", Value: "*/*"}, {Name: "user-agent", Value: "bench"}, {Name: "x-forwarded-for", Value: "192.0.2.1"}}}
	var call Call
	buf := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		call.Reset()
		res, err := s.Do(&call, r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := res.Read(buf); n != 12 || err != io.EOF {
			b.Fatal(n, err)
		}
		res.Close()
	}
}

func BenchmarkGetNetHTTP(b *testing.B) {
	address := rawServer(b, benchAnswer)
	t := &http.Transport{ResponseHeaderTimeout: time.Minute, DisableCompression: true}
	defer t.CloseIdleConnections()
	r := httptest.NewRequest("GET", "http://"+address+"/", nil)
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "X-Forwarded-For": {"192.0.2.1"}}
	buf := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		res, err := t.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.ReadFull(res.Body, buf); n != 12 || err != io.ErrUnexpectedEOF {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}
