package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/testenv"
)

// slow is an upstream that tells when it is asked, and answers when it is let.
func slow(t *testing.T) (text string, asked chan struct{}, let chan struct{}) {
	asked, let = make(chan struct{}, 10), make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-let:
			io.WriteString(w, "answered")
		case <-r.Context().Done():
		}
	})
	return proxied(up) + "admin: {address: \"127.0.0.1:0\"}\n", asked, let
}

func TestShutdownAnswersWhatWasAsked(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			text, asked, let := slow(t)
			// Its ports are taken again at the end, by nobody else.
			r := newFolder(t).start(t, strings.ReplaceAll(text, "127.0.0.1:0", testenv.LoopbackAny(t)))
			c := r.client(t, proto, "tls", "a.test.example")
			addr := r.addr(t, "tls")
			got := make(chan answer, 3)
			for range 3 {
				req := c.request(t, "GET", "a.test.example", "/", nil)
				go func() { got <- c.do(t, req) }()
			}
			for range 3 {
				wait(t, "the request", asked)
			}
			done := r.shutdown()
			eventually(t, "/readyz says so", func() bool { return r.ask(t, "GET", "/readyz", "", "").StatusCode == 503 })
			r.ask(t, "GET", "/healthz", "", "").want(t, 200, "ok")
			eventually(t, "nothing is accepted", func() bool {
				conn, err := net.Dial("tcp", addr)
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			select {
			case err := <-done:
				t.Fatalf("ended with requests in hand: %v", err)
			default:
			}
			close(let)
			for range 3 {
				wait(t, "the answer", got).want(t, 200, "answered")
			}
			if err := wait(t, "the shutdown", done); err != nil {
				t.Error(err)
			}
			wait(t, "Done", r.Done())
			if r.Err() != nil {
				t.Error(r.Err())
			}
			line := r.log.wait(t, "msg", "ended")
			wantFields(t, line, map[string]any{"cut": 0})
			if _, err := net.Dial("tcp", r.AdminAddress().String()); err == nil {
				t.Error("the admin listener is still there")
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			u, err := net.ListenPacket("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			u.Close()
		})
	}
}

func TestShutdownCutsAfterTheDrainLimit(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			text, asked, _ := slow(t)
			r := newFolder(t).start(t, text+"timeouts: {drain: 50ms}\n")
			c := r.client(t, proto, "tls", "a.test.example")
			failed := make(chan error, 1)
			req := c.request(t, "GET", "a.test.example", "/", nil)
			go func() {
				res, err := c.http.Do(req)
				if err == nil {
					res.Body.Close()
				}
				failed <- err
			}()
			wait(t, "the request", asked)
			err := wait(t, "the shutdown", r.shutdown())
			if err == nil || !strings.Contains(err.Error(), "requests cut: 1") {
				t.Errorf("error %v", err)
			}
			if err := wait(t, "the end of the request", failed); err == nil {
				t.Error("a cut request got an answer")
			}
		})
	}
}

// Who is told to end at once shall not look for the fault in timeouts.drain.
func TestShutdownSaysWhyItCuts(t *testing.T) {
	for drain, want := range map[string]string{
		"50ms": "requests cut: 1; they had not ended within timeouts.drain",
		"10m":  "requests cut: 1; the gateway was told to end at once",
	} {
		text, asked, _ := slow(t)
		r := newFolder(t).start(t, text+"timeouts: {drain: "+drain+"}\n")
		c := r.client(t, "h2", "tls", "a.test.example")
		req := c.request(t, "GET", "a.test.example", "/", nil)
		go func() {
			if res, err := c.http.Do(req); err == nil {
				res.Body.Close()
			}
		}()
		wait(t, "the request", asked)
		ctx, atOnce := context.WithCancel(t.Context())
		if drain == "10m" {
			atOnce()
		}
		if err := r.Shutdown(ctx); err == nil || err.Error() != want {
			t.Errorf("drain %s: error %v, want %s", drain, err, want)
		}
		atOnce()
	}
}

func TestShutdownTwice(t *testing.T) {
	r := newFolder(t).start(t, basic)
	first, second := r.shutdown(), r.shutdown()
	for _, done := range []<-chan error{first, second} {
		if err := wait(t, "the shutdown", done); err != nil {
			t.Error(err)
		}
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestShutdownEndsWhatAReloadLeft(t *testing.T) {
	text, asked, let := slow(t)
	defer close(let)
	r := newFolder(t).start(t, text+"timeouts: {drain: 100ms}\n")
	c := r.client(t, "h1", "tls", "a.test.example")
	req := c.request(t, "GET", "a.test.example", "/", nil)
	go func() {
		if res, err := c.http.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	wait(t, "the request", asked)
	r.reloadText(t, strings.Replace(text, "name: tls", "name: other", 1)+"timeouts: {drain: 1h}\n")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("error %v", err)
	}
}

// net/http forgets connections that were upgraded: nobody but the drain limit ends them.
func TestShutdownCutsUpgradedConnections(t *testing.T) {
	gone := make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		io.Copy(io.Discard, c)
	})
	r := newFolder(t).start(t, proxied(up)+"timeouts: {drain: 50ms}\n")
	c := r.raw(t, "tls", "a.test.example")
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the shutdown", r.shutdown()); err == nil || !strings.Contains(err.Error(), "requests cut: 1") {
		t.Errorf("error %v", err)
	}
	if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the client's connection stays: %v", err)
	}
	wait(t, "the end of the upstream's connection", gone)
}

// A connection whose handshake ends after the shutdown began must be told to go away too, or it holds the shutdown up
// until the drain limit.
func TestShutdownTellsLateConnections(t *testing.T) {
	r := newFolder(t).start(t, basic+"timeouts: {drain: 1h}\n")
	tcp := r.raw(t, "tls", "")
	eventually(t, "the connection is taken in", func() bool {
		return r.metric(t, "usher_connections", "listener=tls", "proto=none") == 1
	})
	done := r.shutdown()
	r.log.wait(t, "msg", "draining")
	eventually(t, "the shutdown has begun", func() bool {
		conn, err := net.Dial("tcp", tcp.RemoteAddr().String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	c := tls.Client(tcp, &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example", NextProtos: []string{"h2"}})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY: %v", err)
		}
		if _, ok := f.(*http2.GoAwayFrame); ok {
			break
		}
	}
	c.Close()
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
}
