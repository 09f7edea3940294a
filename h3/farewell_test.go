package h3_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
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
