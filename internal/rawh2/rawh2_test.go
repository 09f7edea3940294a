package rawh2_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/rawh2"
)

func connect(t *testing.T, h http.Handler) *rawh2.Conn {
	t.Helper()
	return over(t, dial(t, h))
}

// dial connects to a server of its own.
func dial(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func over(t *testing.T, nc net.Conn) *rawh2.Conn {
	t.Helper()
	c, err := rawh2.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBodyAndFields(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Host+" "+r.URL.Path)
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	}))
	sent := strings.Repeat("0123456789", 4000) // several DATA frames
	r, err := c.Do(rawh2.Fields(":method", "PUT", ":scheme", "http", ":authority", "a.example", ":path", "/x"), []byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 418 || string(r.Body) != sent || r.Header.Get("X-Seen") != "PUT a.example /x" || r.Reset != nil {
		t.Errorf("got %d, %d bytes, %v, reset %v", r.Status, len(r.Body), r.Header, r.Reset)
	}
	if err := c.Ping(); err != nil {
		t.Error(err)
	}
}

// Responses that arrive in another order than they are asked for go to the right streams.
func TestManyStreams(t *testing.T) {
	first := make(chan struct{})
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/0" {
			<-first
		}
		if r.URL.Path == "/9" {
			close(first)
		}
		io.WriteString(w, r.URL.Path)
	}))
	var ids []uint32
	for i := range 10 {
		id, err := c.Send(rawh2.Get("http", "a.example", "/"+string(rune('0'+i))), nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for i, id := range ids {
		r, err := c.Receive(id)
		if err != nil {
			t.Fatal(err)
		}
		if want := "/" + string(rune('0'+i)); string(r.Body) != want {
			t.Errorf("stream %d: %q, want %q", id, r.Body, want)
		}
	}
	if _, err := c.Receive(ids[0]); err == nil {
		t.Error("a stream was received twice")
	}
}

// A oneWay is a connection whose other end reads nothing more once it is shut, as one that is closed, and what it said before can be read.
type oneWay struct {
	net.Conn
	shut bool
}

func (c *oneWay) Write(p []byte) (int, error) {
	if c.shut {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// A server may close the connection right behind its answer: that the client's acknowledgements find nobody is no fault of the answer.
func TestServerThatReadsNoMore(t *testing.T) {
	sent := strings.Repeat("0123456789", 4000)
	nc := &oneWay{Conn: dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, sent) }))}
	c := over(t, nc)
	id, err := c.Send(rawh2.Get("http", "a.example", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	nc.shut = true
	if r, err := c.Receive(id); err != nil || r.Status != 200 || string(r.Body) != sent {
		t.Errorf("got %+v, %v", r, err)
	}
}

// RFC 9113 section 8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error
// (Section 5.4.2) of type PROTOCOL_ERROR."
func TestReset(t *testing.T) {
	c := connect(t, http.NotFoundHandler())
	r, err := c.Do(rawh2.Fields(":method", "GET", ":scheme", "gopher", ":authority", "a.example", ":path", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Reset == nil || *r.Reset != http2.ErrCodeProtocol || r.Status != 0 {
		t.Errorf("got status %d, reset %v", r.Status, r.Reset)
	}
	if r, err = c.Do(rawh2.Get("http", "a.example", "/"), nil); err != nil || r.Status != 404 {
		t.Errorf("the connection is unusable afterwards: %v %v", r, err)
	}
}

func TestGoAway(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	if c.GoneAway() != nil {
		t.Fatal("gone away already")
	}
	if _, err := c.Do(rawh2.Get("http", "a.example", "/"), nil); err != nil {
		t.Fatal(err)
	}
	g, err := c.WaitGoAway()
	if err != nil || g.Code != http2.ErrCodeNo {
		t.Fatalf("got %v, %v", g, err)
	}
	// The connection ends: a later request is not served.
	for range 3 {
		if _, err = c.Do(rawh2.Get("http", "a.example", "/"), nil); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("requests are served after GOAWAY")
	} else if !errors.Is(err, rawh2.ErrGone) {
		t.Logf("ended with %v", err)
	}
}
