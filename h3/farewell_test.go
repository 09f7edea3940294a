package h3_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/rawh3"
)

// RFC 9114 section 5.2: "Once all accepted requests and pushes have been processed, the endpoint can permit the connection to become idle, or it
// MAY initiate an immediate closure of the connection." With the latter, clients lose what has arrived and was not read yet, and that may be all
// of an answer.
func TestFarewell(t *testing.T) {
	const size = 200_000
	w := newWorld(t)
	w.server.SetFarewell(time.Minute)
	w.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) })
	w.serve(t)
	client := &http3.Transport{TLSClientConfig: w.tls("open.example")}
	t.Cleanup(func() { client.Close() })
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+w.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "open.example"
	res, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.server.Shutdown(ctx) }()
	time.Sleep(500 * time.Millisecond) // many times as long as it takes until all has arrived
	if content, err := io.ReadAll(res.Body); len(content) != size || err != nil {
		t.Errorf("%d bytes and %v, want %d", len(content), err, size)
	}
	res.Body.Close()
	client.Close()
	if err := <-ended; err != nil {
		t.Errorf("the server waits for longer than its client stays: %v", err)
	}
}

// What is answered while a connection takes its leave of the client has the same time to be read as what was answered before: requests whose
// stream was there before GOAWAY may come to their end later.
func TestFarewellAnew(t *testing.T) {
	for farewell := time.Second; ; farewell *= 2 { // on a slow machine this client may be late for a short one
		late, stayed := answeredLate(t, farewell)
		switch {
		case late && stayed >= farewell*3/4:
			return
		case farewell > patience/2:
			t.Fatalf("answered %v, the connection ended %v after that, want %v", late, stayed, farewell)
		}
	}
}

// answeredLate sends the last of a request in the middle of the farewell, and returns how long the connection stays then. late is false where the
// farewell was over before.
func answeredLate(t *testing.T, farewell time.Duration) (late bool, stayed time.Duration) {
	w := newWorld(t)
	w.server.SetFarewell(farewell)
	w.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answer") })
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	slow, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	headers := rawh3.HeadersFrame(rawh3.Get("open.example", "/"))
	if err := slow.Raw(headers[:len(headers)/2]); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, c, "open.example", 200)
	ctx, cancel := context.WithTimeout(t.Context(), 10*farewell)
	defer cancel()
	go w.server.Shutdown(ctx)
	<-c.GoAway()
	select {
	case <-time.After(farewell * 3 / 4):
	case <-c.QUIC.Context().Done():
		return false, 0
	}
	if slow.Raw(headers[len(headers)/2:]) != nil || slow.End() != nil {
		return false, 0
	}
	if res, err := slow.Response(); err != nil || res.Status != 200 {
		return false, 0
	}
	from := time.Now()
	<-c.QUIC.Context().Done()
	return true, time.Since(from)
}
