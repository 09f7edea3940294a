package proxy

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-http/usher/internal/message"
)

func TestInterimAnswers(t *testing.T) {
	s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
		c.head()
		c.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\nContent-Length: 0\r\n\r\n" + hello)
		c.head()
	})
	var told []string
	call := Call{Inform: func(status int, f message.Fields) { told = append(told, fmt.Sprint(status, f)) }}
	if got := answer(s.Do(&call, get("/"))); got != `200 "hello"` {
		t.Error(got)
	}
	if want := "100 [] 103 [{link </a>}]"; strings.Join(told, " ") != want {
		t.Errorf("told %q, want %s", told, want)
	}
}

func TestTunnel(t *testing.T) {
	const want = "GET /chat HTTP/1.1\r\nhost: example.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
	for _, test := range []struct {
		name, answer, want string
		connect            bool
	}{
		{"Upgrade", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\nearly", "101", false},
		{"extended CONNECT", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n\r\nearly", "101", true},
		{"another key", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n", "malformed", true},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "malformed", false},
		{"no protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "malformed", false},
		{"with a length", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n", "malformed", false},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(n int, c *peer) {
				head, _ := c.head()
				if n == 2 {
					c.say(hello)
					c.head()
					return
				}
				key := ""
				if _, rest, found := strings.Cut(head, "sec-websocket-key: "); found {
					key, _, _ = strings.Cut(rest, "\r\n")
					head = strings.Replace(head, "sec-websocket-key: "+key+"\r\n", "", 1)
				}
				if head != want+"\r\n" || (key != "") != test.connect {
					t.Errorf("the request is %q with the key %q", head, key)
				}
				c.say(strings.Replace(test.answer, "KEY", acceptOf(key), 1))
				if test.want == "101" {
					c.want("ping")
					c.say("pong")
				}
				if test.want == "403" {
					c.head()
					c.say(hello)
				}
				c.head()
			})
			r := get("/chat")
			r.Protocol = "websocket"
			if test.connect {
				r.Method, r.Length, r.Body = "CONNECT", -1, newWaiting()
			}
			res, err := s.Do(new(Call), r)
			if err != nil {
				if kind(err) != test.want {
					t.Error(err)
				}
				return
			}
			if fmt.Sprint(res.Status) != test.want || res.Status == 101 && !res.NoBody {
				t.Error(res.Status, res.NoBody)
			}
			tunnel, err := res.Tunnel()
			if res.Status != 101 {
				if err == nil {
					t.Error("there is a tunnel")
				}
				res.Close()
				if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` || sc.dialled() != 1 {
					t.Error(got, sc.dialled())
				}
				return
			}
			buf := make([]byte, 9)
			if n, err := io.ReadFull(tunnel, buf[:5]); string(buf[:n]) != "early" {
				t.Error(string(buf[:n]), err)
			}
			io.WriteString(tunnel, "ping")
			if n, err := io.ReadFull(tunnel, buf[:4]); string(buf[:n]) != "pong" {
				t.Error(string(buf[:n]), err)
			}
			tunnel.Close()
			res.Close()
			if got := answer(s.Do(new(Call), get("/"))); got != `200 "hello"` || sc.dialled() != 2 {
				t.Error(got, sc.dialled())
			}
		})
	}
}

// A tunnel has no limits but Cancel.
func TestTunnelLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPiped(t, Config{FirstByte: time.Second, Idle: time.Second, Whole: time.Second}, func(_ int, c *peer) {
			c.head()
			c.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
			time.Sleep(time.Minute)
			c.say("late")
			c.head()
		})
		r := get("/")
		r.Protocol = "x"
		var call Call
		res, err := s.Do(&call, r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Close()
		tunnel, err := res.Tunnel()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 9)
		if n, err := tunnel.Read(buf); string(buf[:n]) != "late" || err != nil {
			t.Error(string(buf[:n]), err)
		}
		go call.Cancel()
		if n, err := tunnel.Read(buf); kind(err) != "canceled" {
			t.Error(n, err)
		}
	})
}

// RFC 6455 section 1.3: "the value would be "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="".
func TestAcceptOf(t *testing.T) {
	if got := acceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}
