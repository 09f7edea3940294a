package h3_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/rawh3"
)

// serveWith starts a world whose handler is h.
func serveWith(t *testing.T, h http.HandlerFunc) (*world, *rawh3.Conn) {
	t.Helper()
	w := newWorld(t)
	w.server.Handler = h
	w.serve(t)
	return w, w.dial(t, w.tls("open.example"))
}

// TestConnectionFields: "An endpoint MUST NOT generate an HTTP/3 field section containing connection-specific fields" (RFC
// 9114 section 4.2), whenever a handler sets them. Connection: close ends the connection, as it does over HTTP/2.
func TestConnectionFields(t *testing.T) {
	set := func(w http.ResponseWriter, connection string) {
		for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
			w.Header().Set(name, "x")
		}
		w.Header().Set("Connection", connection)
		w.Header().Set("Kept", "yes")
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		ends    bool
	}{
		"before WriteHeader": {func(w http.ResponseWriter, _ *http.Request) { set(w, "close"); w.WriteHeader(200) }, true},
		"before Write":       {func(w http.ResponseWriter, _ *http.Request) { set(w, "Keep-Alive, Close"); io.WriteString(w, "x") }, true},
		"after WriteHeader":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); set(w, "close") }, true},
		"after Write":        {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); set(w, "close") }, true},
		"before Flush":       {func(w http.ResponseWriter, _ *http.Request) { set(w, "close"); w.(http.Flusher).Flush() }, true},
		"before large Write": {func(w http.ResponseWriter, _ *http.Request) { set(w, "close"); w.Write(make([]byte, 1<<20)) }, true},
		"with 103":           {func(w http.ResponseWriter, _ *http.Request) { set(w, "close"); w.WriteHeader(103); w.WriteHeader(200) }, true},
		"keep-alive":         {func(w http.ResponseWriter, _ *http.Request) { set(w, "keep-alive") }, false},
		"large and streamed": {func(w http.ResponseWriter, _ *http.Request) {
			set(w, "close")
			for range 20 {
				w.Write(make([]byte, 1<<16))
				w.(http.Flusher).Flush()
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serveWith(t, test.handler)
			res := do(t, c, rawh3.Get("open.example", "/"))
			kept := name == "after WriteHeader" || name == "after Write"
			for _, f := range slices.Concat(append(res.Informational, res.Fields)...) {
				switch f[0] {
				case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
					t.Errorf("field %q", f)
				case "kept":
					kept = true
				}
			}
			if !kept {
				t.Errorf("other fields are gone: %q", res.Fields)
			}
			if test.ends {
				wantGoAway(t, c)
			} else {
				wantOpen(t, c)
			}
		})
	}
}

// TestEndWithOthersInHand: the connection ends after the other requests on it.
func TestEndWithOthersInHand(t *testing.T) {
	h := newSlow()
	defer h.end()
	_, c := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
	other := make(chan error, 1)
	go func() {
		res, err := try(t, c, rawh3.Get("open.example", "/slow"))
		if err == nil && len(res.Body) < 1<<20 {
			err = fmt.Errorf("%d bytes", len(res.Body))
		}
		other <- err
	}()
	<-h.begun
	do(t, c, rawh3.Get("open.example", "/close"))
	<-c.GoAway()
	time.Sleep(500 * time.Millisecond)
	h.end()
	if err := <-other; err != nil {
		t.Errorf("the request in hand: %v", err)
	}
	wantGoAway(t, c)
}

// TestWriter: what handlers do with quic-go's ResponseWriter, they can do with this one.
func TestWriter(t *testing.T) {
	step := make(chan struct{})
	_, c := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/flush":
			io.WriteString(w, "first")
			if err := control.Flush(); err != nil {
				panic(err)
			}
			<-step
			io.WriteString(w, "second")
		case "/deadline":
			if err := control.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				panic(err)
			}
			_, err := io.ReadAll(r.Body)
			fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
		case "/settings":
			<-w.(http3.Settingser).ReceivedSettings()
			fmt.Fprint(w, w.(http3.Settingser).Settings().EnableExtendedConnect)
		case "/stream":
			w.WriteHeader(200)
			stream, err := w.(http3.HTTPStreamer).HTTPStream()
			if err != nil {
				panic(err)
			}
			go func() {
				<-step
				io.WriteString(stream, "taken over")
				stream.Close()
			}()
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
		case "/panic":
			panic(http.ErrAbortHandler)
		}
	})
	open := func(path string) *rawh3.Stream {
		s, err := c.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Headers(rawh3.Request("POST", "https", "open.example", path)); err != nil {
			t.Fatal(err)
		}
		return s
	}

	s := open("/flush")
	r := bufio.NewReader(s.QUIC)
	if err := s.QUIC.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for seen := ""; !strings.Contains(seen, "first"); {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("before the flush was seen: %v", err)
		}
		seen += string(b)
	}
	step <- struct{}{}
	if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "second") {
		t.Errorf("after the flush: %q %v", rest, err)
	}

	if res, err := open("/deadline").Response(); err != nil || string(res.Body) != "true" {
		t.Errorf("deadline: %+v %v", res, err)
	}
	if res, err := open("/settings").Response(); err != nil || string(res.Body) != "false" {
		t.Errorf("settings: %+v %v", res, err)
	}
	if res, err := open("/trailer").Response(); err != nil || len(res.Trailers) != 1 || res.Trailers[0] != (rawh3.Field{"x-sum", "1"}) {
		t.Errorf("trailer: %+v %v", res, err)
	}
	_, err := open("/panic").Response()
	wantCode(t, err, 0x102) // H3_INTERNAL_ERROR

	s = open("/stream")
	step <- struct{}{}
	if res, err := s.Response(); err != nil || string(res.Body) != "taken over" {
		t.Errorf("stream: %+v %v", res, err)
	}
}

// TestStreamTakenOver: the graceful end waits for its new owner.
func TestStreamTakenOver(t *testing.T) {
	step := make(chan struct{})
	w, c := serveWith(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		stream, err := w.(http3.HTTPStreamer).HTTPStream()
		if err != nil {
			panic(err)
		}
		go func() {
			<-step
			io.WriteString(stream, "late")
			stream.Close()
		}()
	})
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Headers(rawh3.Get("open.example", "/")); err != nil {
		t.Fatal(err)
	}
	if err := s.QUIC.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.QUIC.Peek(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.server.Shutdown(t.Context()) }()
	<-c.GoAway()
	time.Sleep(time.Second)
	close(step)
	if res, err := s.Response(); err != nil || string(res.Body) != "late" {
		t.Errorf("%+v %v", res, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestURL: Handler sees the URL as from net/http; Unguarded sees the scheme, gets every request, and can decide.
func TestURL(t *testing.T) {
	_, c := serveWith(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.String()) })
	if res := do(t, c, rawh3.Get("open.example", "/a?b")); string(res.Body) != "/a?b" {
		t.Errorf("URL %q", res.Body)
	}

	w := newWorld(t)
	w.server.Handler = nil
	w.server.Unguarded = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		v := w.guard.Decide(r)
		fmt.Fprint(rw, r.URL.Scheme, " ", v.Reason)
	})
	w.serve(t)
	c = w.dial(t, w.tls("open.example"))
	for _, test := range []struct{ scheme, host, want string }{
		{"https", "open.example", "https ok"},
		{"HtTpS", "open.example", "HtTpS ok"},
		{"http", "open.example", "http scheme_mismatch"},
		{"https", "admin.example", "https client_auth_mismatch"},
		{"https", "%", "https malformed_authority"},
	} {
		if res := do(t, c, rawh3.Request("GET", test.scheme, test.host, "/")); string(res.Body) != test.want {
			t.Errorf("%v: %q", test, res.Body)
		}
	}
	if res := do(t, c, []rawh3.Field{{":method", "CONNECT"}, {":authority", "open.example:443"}}); string(res.Body) != " method_not_supported" {
		t.Errorf("CONNECT: %q", res.Body)
	}
}
