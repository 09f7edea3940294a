package h3_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
)

// A witness is a socket that counts Retry packets. Deaf, it takes no notice of what it receives, as where a forged address gets the answers.
type witness struct {
	net.PacketConn
	deaf    bool
	retries atomic.Int64 // that were received
	quiet   atomic.Bool  // nothing more is sent
}

func (w *witness) WriteTo(p []byte, to net.Addr) (int, error) {
	if w.quiet.Load() {
		return len(p), nil
	}
	return w.PacketConn.WriteTo(p, to)
}

func (w *witness) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := w.PacketConn.ReadFrom(p)
		if err != nil {
			return 0, nil, err
		}
		// RFC 9000 section 17.2.5: a long header of the type 0x03.
		if n > 0 && p[0]&0xf0 == 0xf0 {
			w.retries.Add(1)
		}
		if !w.deaf {
			return n, from, nil
		}
	}
}

// RFC 9000 section 8.1.2: "A server can also use a Retry packet to defer the state and processing costs of connection establishment." Who
// does not receive what is sent to its address gets no further when there are many; who does is served.
func TestHandshakeFlood(t *testing.T) {
	const many = 8
	w := newWorld(t)
	w.server.SetManyYoung(many)
	w.serve(t)
	to, err := net.ResolveUDPAddr("udp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	config := w.tls("open.example").Clone()
	config.NextProtos = []string{"h3"}
	honest := &witness{PacketConn: listen(t)}
	quiet := &quic.Transport{Conn: honest}
	t.Cleanup(func() { quiet.Close() })
	for range 2 * many {
		qc, err := quiet.Dial(t.Context(), to, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := rawh3.Open(qc)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, c, "open.example", 200)
	}
	if n := honest.retries.Load(); n != 0 {
		t.Fatalf("%d clients have to show their address where each handshake comes to its end", n)
	}
	end := w.forge(t, 2*many)
	wantStatus(t, w.dial(t, w.tls("open.example")), "open.example", 200)
	for _, err := range end() {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a handshake without answers ended with %v", err)
		}
	}
}

// forge begins n handshakes from an address that does not get the answers, and returns when the server has asked for a proof of it. It has the
// handshakes for seconds yet. end gives them up, and returns what they ended with.
func (w *world) forge(t *testing.T, n int) (end func() []error) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	config := w.tls("open.example")
	config.NextProtos = []string{"h3"}
	forged := &witness{PacketConn: listen(t), deaf: true}
	tr := &quic.Transport{Conn: forged}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, n)
	t.Cleanup(func() {
		cancel()
		tr.Close()
	})
	for range n {
		go func() {
			_, err := tr.Dial(ctx, to, config, &quic.Config{HandshakeIdleTimeout: time.Minute})
			ended <- err
		}()
	}
	for limit := time.Now().Add(patience); forged.retries.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nobody has to show that it receives what is sent")
		}
	}
	forged.quiet.Store(true)
	return func() (errs []error) {
		cancel()
		for range n {
			errs = append(errs, <-ended)
		}
		return errs
	}
}

// Forged addresses must not take all that MaxConns allows for, however little that is.
func TestFloodBelowMaxConns(t *testing.T) {
	const most = 8
	w := newWorld(t)
	w.server.MaxConns = most
	w.serve(t)
	end := w.forge(t, 2*most)
	for range most / 4 {
		wantStatus(t, w.dial(t, w.tls("open.example")), "open.example", 200)
	}
	end()
}
