package wire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/originframe"
	"github.com/usher-http/usher/probe/wire"
)

// payload is what an ORIGIN frame says.
func payload(t *testing.T, hosts ...string) []byte {
	t.Helper()
	var list []authority.Origin
	for _, host := range hosts {
		list = append(list, authority.NewOrigin(authority.HTTPS, authority.MustParse(host)))
	}
	p, err := originframe.Append(nil, list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// RFC 8336 section 2.1: "The ORIGIN frame MUST be sent on stream 0; an ORIGIN frame on any other stream is invalid and MUST be ignored."
func TestOriginH2(t *testing.T) {
	good, other := payload(t, "a.test", "b.test"), payload(t, "c.test")
	address := secure(t, "h2", func(c *tls.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		p := &peer{http2.NewFramer(c, c), c}
		for {
			f, err := p.ReadFrame()
			if err != nil {
				return
			}
			if f.Header().Type == http2.FrameHeaders {
				break
			}
		}
		p.WriteSettings()
		p.WriteRawFrame(originframe.Type, 0, 0, good)
		p.WriteRawFrame(originframe.Type, 0, 1, other)
		p.WriteRawFrame(originframe.Type, 1, 0, other)
		p.headers(1, true, ":status", "200")
		io.Copy(io.Discard, c)
	})
	c := open(t, wire.Dial{Address: address, Protocol: wire.H2})
	if a := c.Do(t.Context(), &wire.Request{Authority: "a.test"}); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	if payloads, ignored := c.Origins(); len(payloads) != 1 || !bytes.Equal(payloads[0], good) || ignored != 2 {
		t.Errorf("%q, %d ignored", payloads, ignored)
	}
}

// RFC 9412 section 2: the frame comes on the server's control stream.
func TestOriginH3(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	l, err := quic.Listen(udp, &tls.Config{Certificates: []tls.Certificate{testca.New(t).Server(t, "a.test")}, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	frame := func(kind uint64, content []byte) []byte {
		return slices.Concat(quicvarint.Append(nil, kind), quicvarint.Append(nil, uint64(len(content))), content)
	}
	want := payload(t, "a.test", "b.test")
	go func() {
		c, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		control, err := c.OpenUniStream()
		if err != nil {
			return
		}
		control.Write(slices.Concat([]byte{0}, frame(4, nil), frame(0x21, []byte("greased")), frame(originframe.Type, want)))
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return
		}
		io.ReadAll(s)
		var block bytes.Buffer
		qpack.NewEncoder(&block).WriteField(qpack.HeaderField{Name: ":status", Value: "200"})
		s.Write(slices.Concat(frame(0x21, []byte("greased")), frame(1, block.Bytes()), frame(0, []byte("hello"))))
		s.Close()
	}()
	c := open(t, wire.Dial{Address: udp.LocalAddr().(*net.UDPAddr).AddrPort(), Protocol: wire.H3})
	if a := c.Do(t.Context(), &wire.Request{Authority: "a.test"}); a.Status != 200 || string(a.Body) != "hello" {
		t.Fatalf("%+v", a)
	}
	// The streams are read side by side: the frame may come behind the answer.
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if payloads, _ := c.Origins(); len(payloads) > 0 {
			if len(payloads) != 1 || !bytes.Equal(payloads[0], want) {
				t.Errorf("%q", payloads)
			}
			return
		}
	}
	t.Error("no ORIGIN frame came")
}
