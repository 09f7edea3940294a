package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/testca"
)

// real is one of net/http's servers and a client for it.
func real(t *testing.T, protocol string, h http.Handler, config Config) *Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	if protocol == "http" {
		srv.Start()
	} else {
		ca := testca.New(t)
		srv.EnableHTTP2 = protocol == "h2"
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "example.com")}}
		srv.StartTLS()
		config.TLS = &tls.Config{ServerName: "example.com", RootCAs: ca.Pool()}
	}
	config.Address = srv.Listener.Addr().String()
	s := NewServer(config)
	t.Cleanup(func() {
		s.CloseIdle()
		srv.Close()
	})
	return s
}

var protocols = []string{"http", "https", "h2"}

func inEach(t *testing.T, f func(t *testing.T, protocol string)) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) { f(t, protocol) })
	}
}

// What a server of net/http makes of our requests, and what we make of its answers, in every protocol.
func TestAgainstNetHTTP(t *testing.T) {
	inEach(t, func(t *testing.T, protocol string) {
		s := real(t, protocol, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content, err := io.ReadAll(r.Body)
			w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Host, " ", r.ContentLength, " ", r.Header["X"], " ", r.UserAgent(), " ",
				string(content), " ", err, " ", r.Trailer))
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Trailer", "X-Sum")
			w.Header()["Date"] = nil
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(204)
			case "/304":
				w.WriteHeader(304)
			case "/hints":
				w.Header().Set("Link", "</a>")
				w.WriteHeader(103)
				w.Header().Del("Link")
				io.WriteString(w, "hinted")
			case "/trailers":
				io.WriteString(w, "content")
				w.(http.Flusher).Flush()
				w.Header().Set("X-Sum", "7")
			case "/length":
				w.Header().Set("Content-Length", "5")
				io.WriteString(w, "hello")
			default:
				io.WriteString(w, "hello")
				w.(http.Flusher).Flush()
			}
		}), Config{})
		x := message.Fields{{Name: "x", Value: "1"}, {Name: "x", Value: "2"}, {Name: "user-agent", Value: "me"}}
		with := func(r *message.Request, target string) *message.Request { r.Target, r.Fields = target, x; return r }
		bare := get("/a//b?c=%2f")
		trailers := "map[X-End:[1]]"
		if protocol == "h2" {
			trailers = "map[]" // x/net's server shows those alone that were announced: see TestTwoTrailers
		}
		announced := func(r *message.Request, target string) *message.Request {
			r.Target, r.Fields = target, append(slices.Clone(x), message.Field{Name: "trailer", Value: "x-end"})
			return r
		}
		for _, test := range []struct {
			r      *message.Request
			want   string
			seen   string
			length int64
			noBody bool
		}{
			{bare, `200 "hello"`, "GET /a//b?c=%2f example.com 0 []   <nil> map[]", -1, false},
			{get("//b?"), `200 "hello"`, "GET //b? example.com 0 []   <nil> map[]", -1, false},
			{get("/\u00e4\"<>|[%2F]"), `200 "hello"`, "GET /\u00e4\"<>|[%2F] example.com 0 []   <nil> map[]", -1, false},
			{with(get(""), "/length"), `200 "hello"`, "GET /length example.com 0 [1 2] me  <nil> map[]", 5, false},
			{with(send("HEAD", 0, nil), "/length"), `200 ""`, "HEAD /length example.com 0 [1 2] me  <nil> map[]", 5, true},
			{with(send("POST", 0, nil), "/204"), `204 ""`, "POST /204 example.com 0 [1 2] me  <nil> map[]", 0, true},
			{with(get(""), "/304"), `304 ""`, "GET /304 example.com 0 [1 2] me  <nil> map[]", -1, true},
			{with(get(""), "/trailers"), `200 "content" trailers [{x-sum 7}]`, "GET /trailers example.com 0 [1 2] me  <nil> map[]", -1, false},
			{with(send("PUT", 5, &pieces{left: []string{"hel", "lo"}}), "/length"), `200 "hello"`, "PUT /length example.com 5 [1 2] me hello <nil> map[]", 5, false},
			{with(send("PUT", 5, &atHand{pieces{left: []string{"hel", "lo"}}}), "/length"), `200 "hello"`, "PUT /length example.com 5 [1 2] me hello <nil> map[]", 5, false},
			{with(send("POST", -1, &pieces{left: []string{"hel", "lo"}}), "/length"), `200 "hello"`, "POST /length example.com -1 [1 2] me hello <nil> map[]", 5, false},
			{with(send("POST", -1, &pieces{left: []string{"hel"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}}), "/length"), `200 "hello"`,
				"POST /length example.com -1 [1 2] me hel <nil> " + trailers, 5, false},
			{announced(send("POST", -1, &pieces{left: []string{"hel"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}}), "/length"), `200 "hello"`,
				"POST /length example.com -1 [1 2] me hel <nil> map[X-End:[1]]", 5, false},
			{with(send("PATCH", -1, &pieces{}), "/length"), `200 "hello"`, "PATCH /length example.com -1 [1 2] me  <nil> map[]", 5, false},
		} {
			res, err := s.Do(new(Call), test.r)
			if err != nil {
				t.Errorf("%s %s: %v", test.r.Method, test.r.Target, err)
				continue
			}
			if seen, _ := res.Fields.Get("x-seen"); seen != test.seen {
				t.Errorf("%s %s: the server saw\n%s, want\n%s", test.r.Method, test.r.Target, seen, test.seen)
			}
			if res.Length != test.length || res.NoBody != test.noBody {
				t.Errorf("%s %s: length %d, no body %v", test.r.Method, test.r.Target, res.Length, res.NoBody)
			}
			if got := answer(res, nil); got != test.want {
				t.Errorf("%s %s: %s, want %s", test.r.Method, test.r.Target, got, test.want)
			}
		}
		var told []string
		call := Call{Inform: func(status int, f message.Fields) {
			link, _ := f.Get("link")
			told = append(told, fmt.Sprint(status, link))
		}}
		if got := answer(s.Do(&call, get("/hints"))); got != `200 "hinted"` || fmt.Sprint(told) != "[103</a>]" {
			t.Error(got, told)
		}
	})
}

// Many contents of random sizes, both ways at once, by several clients: every byte is checked.
func TestContentsAreRight(t *testing.T) {
	inEach(t, func(t *testing.T, protocol string) {
		s := real(t, protocol, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			if r.Header.Get("X-Length") != "" {
				w.Header().Set("Content-Length", r.Header.Get("X-Length"))
			}
			w.Header().Set("Trailer", "X-Sum")
			sum := sha256.New()
			if _, err := io.Copy(w, io.TeeReader(r.Body, sum)); err != nil {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("X-Sum", hex.EncodeToString(sum.Sum(nil)))
		}), Config{FirstByte: time.Minute, Idle: time.Minute, Whole: time.Minute})
		var clients sync.WaitGroup
		for c := range 8 {
			clients.Go(func() {
				rnd := rand.New(rand.NewPCG(1, uint64(c)))
				for range 40 {
					echo(t, s, rnd)
				}
			})
		}
		clients.Wait()
	})
}

func echo(t *testing.T, s *Server, rnd *rand.Rand) {
	content := make([]byte, rnd.IntN(1<<rnd.IntN(19)+1))
	for i := range content {
		content[i] = byte(rnd.Uint32())
	}
	var parts []string
	for rest := content; len(rest) > 0; {
		n := 1 + rnd.IntN(len(rest))
		parts = append(parts, string(rest[:n]))
		rest = rest[n:]
	}
	r := send("POST", -1, &pieces{left: parts})
	if rnd.IntN(2) == 0 {
		r.Length = int64(len(content))
		r.Fields = append(r.Fields, message.Field{Name: "x-length", Value: fmt.Sprint(len(content))})
	}
	if rnd.IntN(2) == 0 {
		r.Body = &atHand{pieces{left: parts}}
	}
	res, err := s.Do(new(Call), r)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Close()
	want, got := sha256.Sum256(content), sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{res}, make([]byte, 1+rnd.IntN(64<<10)))
	if err != nil || n != int64(len(content)) || [32]byte(got.Sum(nil)) != want {
		t.Errorf("%d bytes of %d came back (%v)", n, len(content), err)
	}
	if sum, ok := res.Trailers().Get("x-sum"); r.Length < 0 && (!ok || sum != hex.EncodeToString(want[:])) {
		t.Errorf("the server's sum is %q", sum)
	}
}

// Nothing stays behind of calls that end in every possible way.
func TestNothingIsLeaked(t *testing.T) {
	inEach(t, func(t *testing.T, protocol string) {
		s := real(t, protocol, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/abort":
				io.WriteString(w, "part")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			case "/early":
				http.NewResponseController(w).EnableFullDuplex()
				w.WriteHeader(413)
			case "/hang":
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					<-r.Context().Done()
				}
			default:
				io.Copy(w, r.Body)
			}
		}), Config{})
		ask := func(path string, body message.Body, cancel bool) string {
			r := get(path)
			if body != nil {
				r = send("POST", -1, body)
				r.Target = path
			}
			var call Call
			if cancel {
				time.AfterFunc(time.Millisecond, call.Cancel)
			}
			return answer(s.Do(&call, r))
		}
		answer(s.Do(new(Call), get("/"))) // what stays is there
		s.CloseIdle()
		before := settled(0)
		s.config.FirstByte = 100 * time.Millisecond // for the one that is to pass it: another might on a slow machine
		silent := ask("/hang", nil, false)
		s.config.FirstByte = 0
		for _, test := range []struct {
			got, want string
		}{
			{ask("/abort", nil, false), `200 "part" then closed`},
			{ask("/early", newWaiting(), false), `413 ""`},
			{silent, "error timeout first byte"},
			{ask("/hang", newWaiting(), true), "error canceled"},
			{ask("/hang", nil, true), "error canceled"},
			{ask("/", &pieces{left: []string{"a"}, err: errGone}, false), "error body"},
			{ask("/", &pieces{left: []string{"a"}}, false), `200 "a"`},
		} {
			if test.got != test.want {
				t.Errorf("%s, want %s", test.got, test.want)
			}
		}
		s.CloseIdle()
		if after := settled(before); after > before {
			buf := make([]byte, 64<<10)
			t.Errorf("%d goroutines before, %d after\n%s", before, after, buf[:runtime.Stack(buf, true)])
		}
	})
}

// settled waits for goroutines to end until no more than most are left, or none has ended for a while: a long one where it is known how many
// there should be.
func settled(most int) int {
	n, enough := runtime.NumGoroutine(), 100
	if most > 0 {
		enough = 5000
	}
	for calm := 0; calm < enough && n > most; calm++ {
		time.Sleep(2 * time.Millisecond)
		if m := runtime.NumGoroutine(); m != n {
			n, calm = m, 0
		}
	}
	return n
}
