package h3_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
)

// RFC 9000 section 5.2.2: "Servers MAY ... decide to refuse a connection by sending a CONNECTION_CLOSE frame with error code
// CONNECTION_REFUSED." Those beyond the bound are, at once; there is room again when one has ended.
func TestMaxConns(t *testing.T) {
	var full atomic.Int64
	w := newWorld(t)
	w.server.MaxConns, w.server.Full = 2, func() { full.Add(1) }
	w.server.HeaderTimeout = -1 // the first two stay, however long the others take
	w.serve(t)
	first, second := w.dial(t, w.tls("open.example")), w.dial(t, w.tls("open.example"))
	_, err := rawh3.Dial(t.Context(), w.addr, w.tls("open.example"), nil)
	if refused, ok := errors.AsType[*quic.TransportError](err); !ok || refused.ErrorCode != quic.ConnectionRefused {
		t.Fatalf("a third connection ended with %v, want CONNECTION_REFUSED", err)
	}
	if full.Load() == 0 {
		t.Error("nobody was told")
	}
	wantStatus(t, first, "open.example", 200)
	first.Close()
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		third, err := rawh3.Dial(t.Context(), w.addr, w.tls("open.example"), nil)
		if err == nil {
			defer third.Close()
			wantStatus(t, third, "open.example", 200)
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("no room when a connection has ended: %v", err)
		}
	}
	wantStatus(t, second, "open.example", 200)
	if _, err = rawh3.Dial(t.Context(), w.addr, w.tls("open.example"), nil); err == nil {
		t.Error("there is room for three")
	}
}
