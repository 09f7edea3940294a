package gateway

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An answer that is given without a look at a small request body takes the body in, so that the stream ends without a
// reset: some clients lose the response over one, although RFC 9113 section 8.1 forbids that.
func TestFixedAnswerTakesInTheBody(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := tls.Client(r.raw(t, "tls", ""), &tls.Config{RootCAs: r.folder.ca.Pool(), ServerName: "a.test.example", NextProtos: []string{"h2"}})
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test.example"}, {":path", "/"}, {"content-length", "3"}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	answered := false
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			t.Fatalf("the stream is reset: %v", f.ErrCode)
		case *http2.HeadersFrame:
			answered = true
			if err := framer.WriteData(1, true, []byte("a=b")); err != nil {
				t.Fatal(err)
			}
		case *http2.DataFrame:
			// The reset would come behind the end of the answer: when a PING is answered, it would be there.
			if f.StreamEnded() {
				if err := framer.WritePing(false, [8]byte{1}); err != nil {
					t.Fatal(err)
				}
			}
		case *http2.PingFrame:
			if f.IsAck() {
				if !answered {
					t.Error("no header section")
				}
				return
			}
		}
	}
}
