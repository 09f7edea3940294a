package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/testca"
)

// framed is a server of HTTP/2 that is made of frames. serve gets each request once it has ended.
func framed(t *testing.T, serve func(conn int, f *http2.Framer, r framedRequest)) *Server {
	ca := testca.New(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"h2"}, Certificates: []tls.Certificate{ca.Server(t, "example.com")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				readFrames(c, func(f *http2.Framer, r framedRequest) { serve(n, f, r) })
			}()
		}
	}()
	s := NewServer(Config{Address: l.Addr().String(), TLS: &tls.Config{ServerName: "example.com", RootCAs: ca.Pool()}})
	t.Cleanup(s.CloseIdle)
	return s
}

type framedRequest struct {
	stream   uint32
	te       string
	trailer  string
	content  string
	trailers string
}

// readFrames takes requests, in the order in which they end.
func readFrames(c net.Conn, serve func(f *http2.Framer, r framedRequest)) {
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	open := map[uint32]*framedRequest{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		r := open[id]
		if r == nil {
			r = &framedRequest{stream: id}
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.DataFrame:
			r.content += string(frame.Data())
			ended = frame.StreamEnded()
		case *http2.MetaHeadersFrame:
			ended = frame.StreamEnded()
			for _, field := range frame.RegularFields() {
				switch {
				case open[id] != nil:
					r.trailers += field.Name + "=" + field.Value
				case field.Name == "te":
					r.te = field.Value
				case field.Name == "trailer":
					r.trailer += field.Value
				}
			}
			open[id] = r
		}
		if ended {
			delete(open, id)
			serve(f, *r)
		}
	}
}

func writeFields(f *http2.Framer, stream uint32, end bool, fields ...hpack.HeaderField) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range fields {
		e.WriteField(field)
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end})
}

// RFC 9113 section 8.1: the trailer section is a header block behind the content that ends the stream. Requests' trailers come as well
// where nobody has announced them.
func TestTwoTrailers(t *testing.T) {
	seen := make(chan framedRequest, 1)
	s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
		seen <- r
		writeFields(f, r.stream, false, hpack.HeaderField{Name: ":status", Value: "200"})
		writeFields(f, r.stream, true, hpack.HeaderField{Name: "x-sum", Value: "7"}, hpack.HeaderField{Name: "content-type", Value: "x"})
	})
	r := send("POST", -1, &pieces{left: []string{"hel", "lo"}, trailers: message.Fields{{Name: "x-end", Value: "1"}, {Name: "content-length", Value: "9"}}})
	r.Fields = message.Fields{{Name: "te", Value: "trailers"}}
	if got := answer(s.Do(new(Call), r)); got != `200 "" trailers [{x-sum 7}]` {
		t.Error(got)
	}
	if got, want := <-seen, (framedRequest{1, "trailers", "", "hello", "x-end=1"}); got != want {
		t.Errorf("the server saw %+v, want %+v", got, want)
	}
}

// RFC 9110 section 6.6.2: Trailer says "which fields might be present in the trailers", so that not all of them need come, and others may.
func TestTwoAnnouncedTrailers(t *testing.T) {
	seen := make(chan framedRequest, 2)
	s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
		seen <- r
		fields := []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "trailer", Value: "X-Sum, x y, content-length"}, {Name: "trailer", Value: "x-more"}}
		if r.content == "none" {
			fields = append(fields, hpack.HeaderField{Name: "content-length", Value: "0"})
		}
		writeFields(f, r.stream, false, fields...)
		writeFields(f, r.stream, true, hpack.HeaderField{Name: "x-sum", Value: "7"})
	})
	for _, test := range []struct {
		r    *message.Request
		want framedRequest
	}{
		{send("POST", -1, &pieces{left: []string{"hel", "lo"}, trailers: message.Fields{{Name: "x-other", Value: "2"}}}),
			framedRequest{1, "", "X-End,X-None", "hello", "x-other=2"}},
		{send("PUT", 4, &pieces{left: []string{"none"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}}),
			framedRequest{3, "", "X-End,X-None", "none", "x-end=1"}},
		{send("POST", 0, nil), framedRequest{5, "", "", "", ""}},
	} {
		test.r.Fields = message.Fields{{Name: "trailer", Value: "x-end, x-none"}}
		res, err := s.Do(new(Call), test.r)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := res.Fields.Get("trailer"); got != "x-more, x-sum" {
			t.Errorf("we were told of %q", got)
		}
		if got := answer(res, nil); got != `200 "" trailers [{x-sum 7}]` {
			t.Error(got)
		}
		if got := <-seen; got != test.want {
			t.Errorf("the server saw %+v, want %+v", got, test.want)
		}
	}
}

// x/net says of an answer that ends with its header section that its content is 0 long. Nothing is announced behind that.
func TestTwoAnnouncedBehindTheEnd(t *testing.T) {
	s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
		writeFields(f, r.stream, true, hpack.HeaderField{Name: ":status", Value: "200"}, hpack.HeaderField{Name: "trailer", Value: "x-sum"})
	})
	for _, method := range []string{"GET", "HEAD"} {
		res, err := s.Do(new(Call), send(method, 0, nil))
		if err != nil {
			t.Fatal(err)
		}
		if res.Fields.Has("trailer") {
			t.Errorf("%s: %v", method, res.Fields)
		}
		res.Close()
	}
}

func TestTwoContentThatIsNotAsAnnounced(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		body   message.Body
	}{
		"too short":           {6, &pieces{left: []string{"hello"}}},
		"too long":            {4, &pieces{left: []string{"hello"}}},
		"too long by a piece": {5, &pieces{left: []string{"hello", "!"}}},
		"broken off":          {-1, &pieces{left: []string{"hello"}, err: errGone}},
		"at hand, too short":  {6, &atHand{pieces{left: []string{"hello"}}}},
		"at hand, too long":   {4, &atHand{pieces{left: []string{"hello"}}}},
		"at hand, broken off": {-1, &atHand{pieces{left: []string{"hello"}, err: errGone}}},
	} {
		s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
			t.Errorf("%s: the request has come to an end: %+v", name, r)
		})
		if _, err := s.Do(new(Call), send("POST", test.length, test.body)); kind(err) != "body" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
