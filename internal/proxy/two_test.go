package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/testca"
)

// counting counts the connections that a server's client makes.
func counting(s *Server) *atomic.Int32 {
	var n atomic.Int32
	dial := s.config.Dial
	s.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, address)
	}
	return &n
}

// Many requests share an HTTP/2 connection, and those that come while it is made wait for it.
func TestTwoShares(t *testing.T) {
	all := make(chan struct{})
	var here atomic.Int32
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			if here.Add(1) == 20 {
				close(all)
			}
			<-all
		}
		io.WriteString(w, r.Proto)
	}), Config{})
	n := counting(s)
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
		t.Fatal(got)
	}
	s.CloseIdle()
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if got := answer(s.Do(new(Call), get("/wait"))); got != `200 "HTTP/2.0"` {
				t.Error(got)
			}
		})
	}
	calls.Wait()
	if got := n.Load(); got != 2 {
		t.Errorf("%d connections, want one before and one after CloseIdle", got)
	}
}

// Who wants to switch protocols gets a connection on which HTTP/1.1 is spoken.
func TestTwoAndUpgrade(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, r.Proto)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.CopyN(c, c, 4)
		c.Close()
	}), Config{})
	if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
		t.Fatal(got)
	}
	r := get("/")
	r.Protocol = "echo"
	res, err := s.Do(new(Call), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	tunnel, err := res.Tunnel()
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(tunnel, "ping")
	if got, err := io.ReadAll(io.LimitReader(tunnel, 4)); string(got) != "ping" {
		t.Error(string(got), err)
	}
}

// RFC 9113 section 6.8: a server that goes away says which requests it has not looked at; these can be sent again, whatever their method.
func TestTwoGoAway(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			w.Header().Set("Connection", "close") // net/http's way to send GOAWAY
		}
		io.Copy(w, r.Body)
	}), Config{})
	n := counting(s)
	for i := range 10 {
		r := send("POST", 5, &pieces{left: []string{"hello"}})
		if i%2 == 0 {
			r.Target = "/last"
		}
		if got := answer(s.Do(new(Call), r)); got != `200 "hello"` {
			t.Error(i, got)
		}
	}
	if got := n.Load(); got < 5 {
		t.Errorf("%d connections: the server has not gone away", got)
	}
}

// Limits and cancellation on a stream leave the connection alone.
func TestTwoLimits(t *testing.T) {
	release := make(chan struct{})
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-r.Context().Done()
		case "/stops":
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/slow":
			io.Copy(w, r.Body)
		case "/release":
			<-release
		}
		io.WriteString(w, "end")
	}), Config{})
	n := counting(s)
	// Each has the limit that it is to pass, and no other one, which a slow machine might.
	for _, test := range []struct {
		path            string
		firstByte, idle time.Duration
		want            string
	}{
		{"/silent", 100 * time.Millisecond, 0, "error timeout first byte"},
		{"/stops", 0, 100 * time.Millisecond, `200 "hel" then timeout idle`},
		{"/", 0, 0, `200 "end"`},
	} {
		s.config.FirstByte, s.config.Idle = test.firstByte, test.idle
		if got := answer(s.Do(new(Call), get(test.path))); got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
	}
	s.config.FirstByte = time.Second
	body := newWaiting()
	r := send("POST", -1, body)
	r.Target = "/slow"
	go func() {
		time.Sleep(s.config.FirstByte + s.config.FirstByte/2) // longer than FirstByte: it is the client's time
		body.come <- "slow "
		close(body.come)
	}()
	if got := answer(s.Do(new(Call), r)); got != `200 "slow end"` {
		t.Error(got)
	}
	var call Call
	res, err := s.Do(&call, get("/stops"))
	if err != nil {
		t.Fatal(err)
	}
	go call.Cancel()
	if got := answer(res, nil); !strings.HasSuffix(got, "then canceled") {
		t.Error(got)
	}
	if got := n.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
	close(release)
}

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

// RFC 9113 section 8.7: "Requests that have not been processed have not failed; clients MAY automatically retry them, even those with
// non-idempotent methods." A connection that is fresh gets no second attempt.
func TestTwoRefusedStream(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		s := framed(t, func(conn int, f *http2.Framer, r framedRequest) {
			if conn == 1 && r.stream > 1 {
				f.WriteRSTStream(r.stream, code)
				return
			}
			writeFields(f, r.stream, true, hpack.HeaderField{Name: ":status", Value: "204"}, hpack.HeaderField{Name: "x-content", Value: r.content})
		})
		if got := answer(s.Do(new(Call), get("/"))); got != `204 ""` {
			t.Fatal(got)
		}
		want := `204 ""`
		if code != http2.ErrCodeRefusedStream {
			want = "error closed"
		}
		if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
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

// Connections that are let go of, as a reload does, take no request with them: neither one that waited for the connection, nor one that
// was just about to be sent.
func TestTwoLetGo(t *testing.T) {
	s := real(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), Config{})
	for range 100 {
		s.home.retire(false)
		if got := answer(s.Do(new(Call), get("/"))); got != `200 "HTTP/2.0"` {
			t.Fatal(got)
		}
		s.CloseIdle()
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				if got := answer(s.Do(new(Call), send("POST", 0, nil))); got != `200 "HTTP/2.0"` {
					t.Error(got)
				}
			})
		}
		calls.Go(func() {
			for len(openTwo(s)) == 0 {
				runtime.Gosched()
			}
			s.Retire()
		})
		calls.Wait()
		if left := openTwo(s); len(left) > 0 {
			t.Fatalf("%d connections are left, which nobody will ask for", len(left))
		}
		if t.Failed() {
			return
		}
	}
}

// openTwo are the connections with HTTP/2 that the pool has.
func openTwo(s *Server) []*twoConn {
	t := &s.home.two
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.conns)
}

// RFC 9113 section 6.8: streams "with identifiers higher than the included last stream identifier" were not processed; whoever met such
// a connection more than once is served all the same, whatever the method, with content as far as that is small.
func TestTwoGoAwayUnderLoad(t *testing.T) {
	s := framed(t, func(_ int, f *http2.Framer, r framedRequest) {
		const each = 3
		if r.stream > 2*each {
			return
		}
		if r.content != "hello" {
			t.Errorf("the content %q", r.content)
		}
		writeFields(f, r.stream, true, hpack.HeaderField{Name: ":status", Value: "204"})
		if r.stream == 2*each-1 {
			f.WriteGoAway(r.stream, http2.ErrCodeNo, nil)
		}
	})
	s.heals = nil // as where the configuration names an SNI: nothing is kept for the sake of a 421
	for _, body := range []func() message.Body{
		func() message.Body { return &pieces{left: []string{"hello"}} },
		func() message.Body { return &atHand{pieces{left: []string{"hel", "lo"}}} },
	} {
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				for range 20 {
					if got := answer(s.Do(new(Call), send("POST", 5, body()))); got != `204 ""` {
						t.Error(got)
					}
				}
			})
		}
		calls.Wait()
	}
}

// A small content of which all has come can be sent again, even where x/net has not read it to its end when the server says that it has
// not processed the request.
func TestTwoContentCanBeSentAgain(t *testing.T) {
	for name, content := range map[string]message.Body{
		"whole":   &pieces{left: []string{"hello"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}},
		"at hand": &atHand{pieces{left: []string{"hel", "lo"}, trailers: message.Fields{{Name: "x-end", Value: "1"}}}},
	} {
		call, r := new(Call), send("POST", 5, content)
		x := &twoExchange{server: NewServer(Config{}), call: call}
		x.watch.stop = func() {}
		b := newTwoBody(x, r)
		if err := b.readAtHand(); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Read(make([]byte, 100)); n == 0 || err != nil && err != io.EOF {
			t.Fatal(n, err)
		}
		b.finish()
		if !call.content.again(r) {
			t.Errorf("%s: the content is lost", name)
			continue
		}
		b = newTwoBody(x, r)
		if got, err := io.ReadAll(b); string(got) != "hello" || err != nil || b.trailer.Get("x-end") != "1" {
			t.Errorf("%s: sent again: %q, %v, %v", name, got, err, b.trailer)
		}
	}
}
