package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counting counts the connections that a server's client makes.
func counting(s *Server) *atomic.Int32 {
	var n atomic.Int32
	dial := s.config.Dial
	s.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, address)
	}
	return &n
}

// Many requests share an HTTP/2 connection, and those that come while it is made wait for it.
func TestTwoShares(t *testing.T) {
	all := make(chan struct{})
	var here atomic.Int32
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			if here.Add(1) == 20 {
				close(all)
			}
			<-all
		}
		io.WriteString(w, r.Proto)
	}), Config{})
	n := counting(s)
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
		t.Fatal(got)
	}
	s.CloseIdle()
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if got := answer(s.Do(new(Call), get("/wait"))); got != `200 "HTTP/2.0"` {
				t.Error(got)
			}
		})
	}
	calls.Wait()
	if got := n.Load(); got != 2 {
		t.Errorf("%d connections, want one before and one after CloseIdle", got)
	}
}

// Who wants to switch protocols gets a connection on which HTTP/1.1 is spoken.
func TestTwoAndUpgrade(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, r.Proto)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.CopyN(c, c, 4)
		c.Close()
	}), Config{})
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
		t.Fatal(got)
	}
	r := get("/")
	r.Protocol = "echo"
	res, err := s.Do(new(Call), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	tunnel, err := res.Tunnel()
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(tunnel, "ping")
	if got, err := io.ReadAll(io.LimitReader(tunnel, 4)); string(got) != "ping" {
		t.Error(string(got), err)
	}
}

// Limits and cancellation on a stream leave the connection alone.
func TestTwoLimits(t *testing.T) {
	release := make(chan struct{})
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-r.Context().Done()
		case "/stops":
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/slow":
			io.Copy(w, r.Body)
		case "/release":
			<-release
		}
		io.WriteString(w, "end")
	}), Config{})
	n := counting(s)
	// Each has the limit that it is to pass, and no other one, which a slow machine might: nor that one before it is to.
	const short = 100 * time.Millisecond
	s.config.FirstByte = short
	if got := answer(s.Do(new(Call), get("/silent"))); got != "error timeout first byte" {
		t.Error(got)
	}
	s.config.FirstByte = 0
	res, err := s.Do(new(Call), get("/stops"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(res, make([]byte, 3)); err != nil {
		t.Error(n, err)
	}
	s.config.Idle = short
	if got := answer(res, nil); got != `200 "" then timeout idle` {
		t.Error(got)
	}
	s.config.Idle = 0
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "end"` {
		t.Error(got)
	}
	// A machine on which nothing happens for as long as the limit gets another chance, with a longer one.
	for limit := short; ; limit *= 5 {
		s.config.FirstByte = limit
		body := newWaiting()
		r := send("POST", -1, body)
		r.Target = "/slow"
		go func() {
			time.Sleep(limit + limit/2) // longer than FirstByte: it is the client's time
			select {
			case body.come <- "slow ":
				close(body.come)
			case <-body.stopped:
			}
		}()
		got := answer(s.Do(new(Call), r))
		if got == "error timeout first byte" && limit < 10*time.Second {
			continue
		}
		if got != `200 "slow end"` {
			t.Error(got)
		}
		break
	}
	s.config.FirstByte = 0
	var call Call
	if res, err = s.Do(&call, get("/stops")); err != nil {
		t.Fatal(err)
	}
	go call.Cancel()
	if got := answer(res, nil); !strings.HasSuffix(got, "then canceled") {
		t.Error(got)
	}
	if got := n.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
	close(release)
}
