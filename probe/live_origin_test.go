package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe/wire"
)

// originServer speaks enough HTTP/2 for the prober: it begins with an ORIGIN frame and answers one.test and two.test alone.
func originServer(t *testing.T, payload func(port string) []byte, flags http2.Flags, stream uint32) (targets []Target, o Options) {
	t.Helper()
	ca := testca.New(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "one.test", "two.test")}, NextProtos: []string{"h2"}}
	var port string
	ready := make(chan struct{}) // the port is known
	port = listen(t, func(c net.Conn) {
		<-ready
		s := tls.Server(c, config)
		if s.Handshake() != nil {
			return
		}
		io.ReadFull(s, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(s, s)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.WriteSettings()
		f.WriteRawFrame(0xc, flags, stream, payload(port))
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			headers, ok := frame.(*http2.MetaHeadersFrame)
			if !ok {
				continue
			}
			name, _, _ := strings.Cut(headers.PseudoValue("authority"), ":")
			status, text := "200", texts[name]
			if text == "" || headers.PseudoValue("authority") != name+":"+port || headers.PseudoValue("scheme") == "http" ||
				slices.ContainsFunc(headers.RegularFields(), func(f hpack.HeaderField) bool { return f.Name == "host" }) {
				status, text = "421", ""
			}
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			e.WriteField(hpack.HeaderField{Name: ":status", Value: status})
			e.WriteField(hpack.HeaderField{Name: "cache-control", Value: "no-store"})
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: headers.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: text == ""})
			if text != "" {
				f.WriteData(headers.StreamID, true, []byte(text))
			}
		}
	})
	close(ready)
	for _, name := range []string{"one.test", "two.test"} {
		target, err := ParseTarget(name + ":" + port)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	return targets, Options{Protocols: []wire.Protocol{wire.H2}, TargetRate: -1, Resolve: loopback, Roots: ca.Pool(),
		Limits: unhurried}
}

// entries is the payload of an ORIGIN frame, RFC 8336 section 2.1, with the port behind each origin.
func entries(origins ...string) func(string) []byte {
	return func(port string) (payload []byte) {
		for _, o := range origins {
			o += ":" + port
			payload = append(binary.BigEndian.AppendUint16(payload, uint16(len(o))), o...)
		}
		return payload
	}
}

// TestLiveOrigin: what is listed and then refused, not covered, malformed or in the wrong place is found; a right set is not.
func TestLiveOrigin(t *testing.T) {
	for _, test := range []struct {
		name    string
		payload func(string) []byte
		flags   http2.Flags
		stream  uint32
		want    string
	}{
		{"right", entries("https://one.test", "https://two.test"), 0, 0, ""},
		{"listed and refused", entries("https://one.test", "https://other.test"), 0, 0, "origin one>other, origin two>other"},
		{"not covered", entries("https://one.test", "https://blog.test"), 0, 0, "origin one>blog, origin two>blog"},
		{"no origins", entries("https://one.test", "https://two.test", "what?"), 0, 0, "origin one>one, origin two>two"},
		{"cut off", func(string) []byte { return []byte{0, 20, 'h'} }, 0, 0, "origin one>one, origin two>two"},
		{"on a stream", entries("https://one.test"), 0, 1, "origin one>one, origin two>two"},
		{"with a flag", entries("https://one.test"), 1, 0, "origin one>one, origin two>two"},
	} {
		t.Run(test.name, func(t *testing.T) {
			targets, o := originServer(t, test.payload, test.flags, test.stream)
			r, err := Probe(t.Context(), targets, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(r); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
				for _, f := range r.Findings {
					t.Logf("%s %s: %s -> %s", f.ID, f.Kind, f.Sent, f.Got)
				}
			}
		})
	}
}
