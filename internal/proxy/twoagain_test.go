package proxy

import (
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// RFC 9113 section 6.8: a server that goes away says which requests it has not looked at; these can be sent again, whatever their method.
func TestTwoGoAway(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			w.Header().Set("Connection", "close") // net/http's way to send GOAWAY
		}
		io.Copy(w, r.Body)
	}), Config{})
	n := counting(s)
	for i := range 10 {
		r := send("POST", 5, &pieces{left: []string{"hello"}})
		if i%2 == 0 {
			r.Target = "/last"
		}
		if got := answer(s.Do(new(Call), r)); got != `200 "hello"` {
			t.Error(i, got)
		}
	}
	if got := n.Load(); got < 5 {
		t.Errorf("%d connections: the server has not gone away", got)
	}
}

// RFC 9113 section 8.7: "Requests that have not been processed have not failed; clients MAY automatically retry them, even those with
// non-idempotent methods." A connection that is fresh gets no second attempt.
func TestTwoRefusedStream(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		s := framed(t, func(conn int, f *http2.Framer, r framedRequest) {
			if conn == 1 && r.stream > 1 {
				f.WriteRSTStream(r.stream, code)
				return
			}
			writeFields(f, r.stream, true, hpack.HeaderField{Name: ":status", Value: "204"}, hpack.HeaderField{Name: "x-content", Value: r.content})
		})
		if got := answer(s.Do(new(Call), get("/"))); got != `204 ""` {
			t.Fatal(got)
		}
		want := `204 ""`
		if code != http2.ErrCodeRefusedStream {
			want = "error closed"
		}
		if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
	}
}

// Connections that are let go of, as a reload does, take no request with them: neither one that waited for the connection, nor one that
// was just about to be sent.
func TestTwoLetGo(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), Config{})
	for range 100 {
		s.home.retire(false)
		if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
			t.Fatal(got)
		}
		s.CloseIdle()
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "HTTP/2.0"` {
					t.Error(got)
				}
			})
		}
		calls.Go(func() {
			for len(openTwo(s)) == 0 {
				runtime.Gosched()
			}
			s.Retire()
		})
		calls.Wait()
		if left := openTwo(s); len(left) > 0 {
			t.Fatalf("%d connections are left, which nobody will ask for", len(left))
		}
		if t.Failed() {
			return
		}
	}
}

// openTwo are the connections with HTTP/2 that the pool has.
func openTwo(s *Server) []*twoConn {
	t := &s.home.two
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.conns)
}

// RFC 9113 section 6.8: streams "with identifiers higher than the included last stream identifier" were not processed; whoever met such
// a connection more than once is served all the same, whatever the method, with content as far as that is small.
func TestTwoGoAwayUnderLoad(t *testing.T) {
	s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
		const each = 3
		if r.stream > 2*each {
			return
		}
		if r.content != "hello" {
			t.Errorf("the content %q", r.content)
		}
		writeFields(f, r.stream, true, hpack.HeaderField{Name: ":status", Value: "204"})
		if r.stream == 2*each-1 {
			f.WriteGoAway(r.stream, http2.ErrCodeNo, nil)
		}
	})
	s.heals = nil // as where the configuration names an SNI: nothing is kept for the sake of a 421
	for _, body := range []func() message.Body{
		func() message.Body { return &pieces{left: []string{"hello"}} },
		func() message.Body { return &atHand{pieces{left: []string{"hel", "lo"}}} },
	} {
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				for range 20 {
					if got := answer(s.Do(new(Call), send("POST", 5, body()))); got != `204 ""` {
						t.Error(got)
					}
				}
			})
		}
		calls.Wait()
	}
}

// A small content of which all has come can be sent again, even where x/net has not read it to its end when the server says that it has
// not processed the request.
func TestTwoContentCanBeSentAgain(t *testing.T) {
	for name, content := range map[string]message.Body{
		"whole":   &pieces{left: []string{"hello"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}},
		"at hand": &atHand{pieces{left: []string{"hel", "lo"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}}},
	} {
		call, r := new(Call), send("POST", 5, content)
		x := &twoExchange{server: NewServer(Config{}), call: call}
		x.watch.stop = func() {}
		b := newTwoBody(x, r)
		if err := b.readAtHand(); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Read(make([]byte, 100)); n == 0 || err != nil && err != io.EOF {
			t.Fatal(n, err)
		}
		b.finish()
		if !call.content.again(r) {
			t.Errorf("%s: the content is lost", name)
			continue
		}
		b = newTwoBody(x, r)
		if got, err := io.ReadAll(b); string(got) != "hello" || err != nil || b.trailer.Get("x-end") != "1" {
			t.Errorf("%s: sent again: %q, %v, %v", name, got, err, b.trailer)
		}
	}
}
