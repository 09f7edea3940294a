package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Each limit ends what it is for, when it is due, and with an error of its own.
func TestLimits(t *testing.T) {
	const (
		connect   = 2 * time.Second
		firstByte = 5 * time.Second
		idle      = 3 * time.Second
		whole     = 21 * time.Second
	)
	wait := func(c *peer) { c.Read(make([]byte, 1)) }
	for _, test := range []struct {
		name   string
		script func(c *peer)
		feed   func(b *waiting) // sends the request's content; nil: there is none
		want   string
		after  time.Duration
	}{
		{name: "no answer", script: func(c *peer) { c.head(); wait(c) }, want: "error timeout first byte", after: firstByte},
		{name: "a header section without end", script: func(c *peer) {
			c.head()
			c.say(ok + "x: ")
			for range 100 {
				c.say("x")
				time.Sleep(time.Second)
			}
		}, want: "error timeout first byte", after: firstByte},
		{name: "interim answers", script: func(c *peer) {
			c.head()
			for range 3 {
				time.Sleep(firstByte - time.Second)
				c.say("HTTP/1.1 102 Processing\r\n\r\n")
			}
			wait(c)
		}, want: "error timeout first byte", after: 3*(firstByte-time.Second) + firstByte},
		{name: "content that stops", script: func(c *peer) {
			c.head()
			time.Sleep(time.Second)
			c.say(ok + "Content-Length: 5\r\n\r\nhel")
			wait(c)
		}, want: `200 "hel" then timeout idle`, after: time.Second + idle},
		{name: "slow content", script: func(c *peer) {
			c.head()
			c.say(ok + "Content-Length: 5\r\n\r\n")
			for range 5 {
				time.Sleep(idle - time.Second)
				c.say("x")
			}
			c.head()
		}, want: `200 "xxxxx"`, after: 5 * (idle - time.Second)},
		{name: "content that the server does not read while it answers", script: func(c *peer) {
			c.head()
			c.say(ok + "Content-Length: 5\r\n\r\n")
			for range 5 {
				time.Sleep(idle - time.Second)
				c.say("x")
			}
			c.head()
		}, feed: func(b *waiting) { b.come <- "hello" }, want: `200 "xxxxx"`, after: 5 * (idle - time.Second)},
		{name: "all of it", script: func(c *peer) {
			c.head()
			c.say(ok + "\r\n")
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(idle - time.Second)
			}
		}, want: `200 "xxxxxxxxxxx" then timeout whole`, after: whole},
		{name: "a server that does not read", script: func(c *peer) { c.head(); time.Sleep(whole) },
			feed: func(b *waiting) { b.come <- "hello" }, want: "error timeout first byte", after: firstByte},
		{name: "a client that is slow", script: func(c *peer) {
			c.head()
			c.want("1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
			c.say(hello)
			c.head()
		}, feed: func(b *waiting) {
			time.Sleep(firstByte + time.Second)
			b.come <- "a"
			time.Sleep(firstByte + time.Second)
			b.come <- "b"
			close(b.come)
		}, want: `200 "hello"`, after: 2 * (firstByte + time.Second)},
		{name: "no answer behind content", script: func(c *peer) {
			c.head()
			c.want("1\r\na\r\n0\r\n\r\n")
			wait(c)
		}, feed: func(b *waiting) {
			b.come <- "a"
			time.Sleep(firstByte + time.Second)
			close(b.come)
		}, want: "error timeout first byte", after: 2*firstByte + time.Second},
		{name: "a client that is too slow for the whole", script: func(c *peer) { c.head(); wait(c); wait(c) },
			feed: func(*waiting) {}, want: "error timeout whole", after: whole},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newPiped(t, Config{Connect: connect, FirstByte: firstByte, Idle: idle, Whole: whole},
					func(_ int, c *peer) { test.script(c) })
				r := get("/")
				if test.feed != nil {
					body := newWaiting()
					r = send("POST", -1, body)
					go test.feed(body)
				}
				began := time.Now()
				got := answer(s.Do(new(Call), r))
				if took := time.Since(began); got != test.want || took != test.after {
					t.Errorf("%s after %v, want %s after %v", got, took, test.want, test.after)
				}
			})
		})
	}
}

// What the caller does between two reads is not the server's time, also while content is still sent to a server that does not read it.
func TestCallerThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newPiped(t, Config{FirstByte: time.Second, Idle: time.Second}, func(_ int, c *peer) {
			c.head()
			c.say(ok + "Content-Length: 2\r\n\r\n")
			time.Sleep(time.Minute)
			c.say("x")
			time.Sleep(time.Second / 2)
			c.say("y")
			c.head()
		})
		body := newWaiting()
		res, err := s.Do(new(Call), send("POST", -1, body))
		if err != nil {
			t.Fatal(err)
		}
		body.come <- "hello"
		time.Sleep(time.Minute)
		if got := answer(res, nil); got != `200 "xy"` {
			t.Error(got)
		}
	})
}

func TestConnectLimit(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
	silent := func(context.Context, string, string) (net.Conn, error) { // TLS gets no answer
		c, s := net.Pipe()
		go io.Copy(io.Discard, s)
		return c, nil
	}
	for _, test := range []struct {
		name   string
		config Config
		want   string
		after  time.Duration
	}{
		{"connect", Config{Dial: hang, Connect: 2 * time.Second}, "connect connect", 2 * time.Second},
		{"TLS", Config{Dial: silent, Connect: 2 * time.Second, TLS: anyTLS}, "connect connect", 2 * time.Second},
		{"refused", Config{Dial: refuse, Connect: 2 * time.Second, Whole: time.Second}, "connect", 0},
		{"whole", Config{Dial: hang, Connect: 2 * time.Second, Whole: time.Second}, "timeout whole", time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := NewServer(test.config).Do(new(Call), get("/"))
				if took := time.Since(began); kind(err) != test.want || took != test.after {
					t.Errorf("%v after %v, want %s after %v", err, took, test.want, test.after)
				}
			})
		})
	}
}

// Cancel ends a call wherever it is.
func TestCancel(t *testing.T) {
	wait := func(c *peer) { c.head(); c.Read(make([]byte, 1)) }
	for _, test := range []struct {
		name   string
		dial   func(ctx context.Context, _, _ string) (net.Conn, error)
		script func(c *peer)
		body   bool
		before bool
		want   string
	}{
		{name: "before", before: true, script: wait, want: "error canceled"},
		{name: "connecting", dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, want: "error canceled"},
		{name: "waiting for the answer", script: wait, want: "error canceled"},
		{name: "waiting for content to send", script: wait, body: true, want: "error canceled"},
		{name: "waiting for content", script: func(c *peer) { c.head(); c.say(ok + "Content-Length: 5\r\n\r\nhel"); wait(c) }, want: `200 "hel" then canceled`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, sc := newPiped(t, Config{}, func(n int, c *peer) {
					if n > 1 {
						for {
							if _, ok := c.head(); !ok {
								return
							}
							c.say(hello)
						}
					}
					test.script(c)
				})
				scripted := s.config.Dial
				if test.dial != nil {
					s.config.Dial = test.dial
				}
				var call Call
				r := get("/")
				if test.body {
					r = send("PUT", -1, newWaiting())
				}
				if test.before {
					call.Cancel()
				} else {
					go func() {
						synctest.Wait()
						call.Cancel()
					}()
				}
				if got := answer(s.Do(&call, r)); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				call.Cancel() // too late, and harmless
				call.Reset()
				s.config.Dial = scripted
				if test.before || test.dial != nil {
					sc.dials = 1
				}
				if got := answer(s.Do(&call, get("/"))); got != `200 "hello"` {
					t.Error(got)
				}
				call.Cancel() // it is over: the connection is not touched any more
				call.Reset()
				if got := answer(s.Do(&call, get("/"))); got != `200 "hello"` || sc.dialled() != 2 {
					t.Error(got, sc.dialled())
				}
			})
		})
	}
}
