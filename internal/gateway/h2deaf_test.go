package gateway

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A client that asks and asks and takes no answer is not read any more: header sections have no flow control, and would pile up. When it
// takes them it gets them all.
func TestH2DeafClient(t *testing.T) {
	for try := 1; !deafClient(t); try++ {
		if try == 5 {
			t.Fatal("each time the goroutine that reads was kept by a write of its own")
		}
	}
}

// deafClient returns false where nothing can be said: what reads waits for the socket itself, and so asks for no more.
func deafClient(t *testing.T) bool {
	much := make([]byte, 2<<20)
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(much) })
	d := drive(t, mixed(up.URL)+"log: {access: false}\n", "plain")
	nc := d.dial(t)
	io.WriteString(nc, http2.ClientPreface)
	frames := http2.NewFramer(nc, nc)
	frames.WriteSettings(wide)
	frames.WriteWindowUpdate(0, 1<<30)
	c := d.conn(t)
	for _, end := range []net.Conn{nc, c.raw.Conn} { // so that little is on the way
		end.(*net.TCPConn).SetReadBuffer(64 << 10)
		end.(*net.TCPConn).SetWriteBuffer(64 << 10)
	}
	var enough atomic.Bool
	asked, full := make(chan uint32, 1), make(chan struct{})
	go func() { asked <- askOn(nc, "/much", full, &enough) }()
	// The goroutine that writes the first answer waits for the socket, and not the one that reads: it would ask for no more by itself.
	looks := 0
	eventually(t, "the first answer fills the socket", func() bool {
		looks++
		if goroutinesIn("writeWhole(", "[IO wait") == 0 {
			looks = 0
		}
		return looks == 100
	})
	close(full)
	reads := false
	eventually(t, "the answers pile up", func() bool {
		if reads = goroutinesIn("flushInPlace(", "writeWhole(") == 1; reads {
			return true
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if unsent := c.session.Unsent(); unsent > 2*maxUnsent {
			t.Fatalf("%d bytes of answers are kept", unsent)
		}
		return c.session.Unsent() > maxUnsent
	})
	if reads {
		enough.Store(true)
		nc.Close()
		<-asked
		return false
	}
	eventually(t, "it is held back", func() bool { return goroutinesIn("(*h2conn).holdBack(", "") == 1 })
	enough.Store(true)
	answers := make(chan uint32, 1)
	go func() { answers <- answersOn(frames) }()
	n := wait(t, "the last request", asked)
	frames.WriteGoAway(0, http2.ErrCodeNo, nil)
	if got := wait(t, "the last answer", answers); got != n {
		t.Errorf("%d answers to %d requests", got, n)
	}
	d.wantNothingLeft(t)
	return true
}

// askOn sends a request for a path, and, when the socket is full, others that need no waiting until it is told that they are enough. It
// returns how many.
func askOn(w io.Writer, path string, full <-chan struct{}, enough *atomic.Bool) (n uint32) {
	var block, batch bytes.Buffer
	enc, frames := hpack.NewEncoder(&block), http2.NewFramer(&batch, nil)
	for many := 1; !enough.Load(); many = 100 {
		for range many {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test.example"}, {":path", path}} {
				enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
			path = "/moved"
			n++
		}
		if _, err := batch.WriteTo(w); err != nil {
			return 0
		}
		<-full
	}
	return n
}

// answersOn counts the answers until nothing more comes.
func answersOn(frames *http2.Framer) (n uint32) {
	for {
		f, err := frames.ReadFrame()
		if err != nil {
			return n
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			n++
		}
	}
}
