package usher_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// openRefused begins a POST for a host that is refused, with a body that is still to come, and reads frames until all of the
// answer is there.
func openRefused(t *testing.T, length string) (*http2.Framer, *line) {
	t.Helper()
	w := newWorld(t, quiet)
	l := w.open(t, "h2", "a.test")
	if err := l.h2.Ping(); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(l.conn, l.conn)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "staff.test"}, {":path", "/"}, {"content-length", length}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	return framer, l
}

// next returns the next frame of stream 1.
func next(t *testing.T, framer *http2.Framer) http2.Frame {
	t.Helper()
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, window := f.(*http2.WindowUpdateFrame); f.Header().StreamID == 1 && !window {
			return f
		}
	}
}

// RFC 9113 section 8.1: "Clients MUST NOT discard responses as a result of receiving such a RST_STREAM". Some do: a small body that
// is still under way is taken in, so that no reset is sent.
func TestRefusedBodyIsTakenIn(t *testing.T) {
	for limit := time.Now().Add(patience); ; {
		framer, l := openRefused(t, "3")
		begun := time.Now()
		h, ok := next(t, framer).(*http2.HeadersFrame)
		if !ok || h.StreamEnded() {
			t.Fatalf("the answer does not come before the body: %v", h)
		}
		if d, ok := next(t, framer).(*http2.DataFrame); !ok || d.StreamEnded() || len(d.Data()) == 0 {
			t.Fatalf("got %v, want the answer's content", d)
		}
		if err := framer.WriteData(1, true, []byte("a=b")); err != nil {
			t.Fatal(err)
		}
		f := next(t, framer)
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() && !resetBehind(t, framer) {
			return
		}
		if time.Since(begun) < time.Second || time.Now().After(limit) { // else the body may have come too late, on a slow machine
			t.Fatalf("got %v, want the end of the stream and no reset", f)
		}
		l.conn.Close()
	}
}

// resetBehind reports whether a reset follows what has been read.
func resetBehind(t *testing.T, framer *http2.Framer) (reset bool) {
	t.Helper()
	if err := framer.WritePing(false, [8]byte{}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			reset = true
		case *http2.PingFrame:
			if f.IsAck() {
				return reset
			}
		}
	}
}

// A body that never comes holds nothing up for long, and a large one is not waited for.
func TestRefusedBodyIsNotWaitedForLong(t *testing.T) {
	took := map[string]time.Duration{}
	for i, length := range []string{"3", "1000000", "1000000", "1000000"} {
		if i > 1 && took[length] <= took["3"]/2 {
			break // it is enough that it was not waited for once: a slow machine may take its time, too
		}
		framer, l := openRefused(t, length)
		begun := time.Now()
		for {
			f := next(t, framer)
			if reset, ok := f.(*http2.RSTStreamFrame); ok {
				if reset.ErrCode != http2.ErrCodeNo {
					t.Errorf("%s bytes: reset with %v", length, reset.ErrCode)
				}
				break
			}
		}
		if took[length] = time.Since(begun); took[length] > patience/2 {
			t.Errorf("%s bytes: it took %v", length, took[length])
		}
		l.conn.Close()
	}
	if took["1000000"] > took["3"]/2 {
		t.Errorf("a large body was waited for, too: %v", took)
	}
}
