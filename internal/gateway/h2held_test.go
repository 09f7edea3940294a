package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// echo is an upstream that sends the content back, with its length as it was announced.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}

// Content that is small goes to the upstream at once with the header section.
func TestH2HeldContent(t *testing.T) {
	reads := make(chan string, 10)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				for buf := make([]byte, 128<<10); ; {
					n, err := nc.Read(buf)
					if err != nil {
						return
					}
					reads <- string(buf[:n])
					if strings.HasSuffix(string(buf[:n]), "llo") {
						io.WriteString(nc, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				}
			}()
		}
	}()
	d := drive(t, mixed("http://"+l.Addr().String()))
	c := d.wire(t)
	hc := d.conn(t)
	for range 20 { // on a slow machine one may be let go before it is looked at
		id := c.ask(false, "POST", "/", "content-length", "5")
		c.ping()
		hc.mu.Lock()
		held := len(hc.held) == 1
		if held {
			hc.held[0].started = time.Now().Add(time.Hour) // it is not let go because the machine is slow
		}
		hc.mu.Unlock()
		c.data(id, false, []byte("he"))
		c.data(id, true, []byte("llo"))
		c.want(id, "204", "")
		got := wait(t, "the request", reads)
		for len(reads) > 0 { // pieces of one that was not held
			<-reads
		}
		if !held {
			continue
		}
		if !strings.HasSuffix(got, "content-length: 5\r\n\r\nhello") {
			t.Errorf("the upstream read %q", got)
		}
		return
	}
	t.Error("no request was held")
}

func TestH2HeldContentInPieces(t *testing.T) {
	asked := make(chan struct{}, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		echo(w, r)
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t, wide)
	c.out.WriteWindowUpdate(0, wide.Val)
	for _, length := range []int{1, 10, 5000, 64 << 10, 64<<10 + 1} {
		text := big[:length]
		// As fast as it comes.
		id := c.ask(false, "POST", "/", "content-length", fmt.Sprint(length))
		c.flush()
		for rest := text; rest != ""; {
			n := min(len(rest), length/3+1)
			c.data(id, n == len(rest), []byte(rest[:n]))
			rest = rest[n:]
		}
		if h := c.want(id, "200", ""); string(h.body) != text || h.value("x-length") != fmt.Sprint(length) {
			t.Errorf("%d bytes came back, announced %s, want %d", len(h.body), h.value("x-length"), length)
		}
		wait(t, "the request", asked)

		// The upstream has the request before the content is complete: it was held no longer.
		id = c.ask(false, "POST", "/", "content-length", fmt.Sprint(length))
		c.data(id, false, []byte(text[:length/2]))
		wait(t, "the request", asked)
		c.data(id, true, []byte(text[length/2:]))
		if h := c.want(id, "200", ""); string(h.body) != text || h.value("x-length") != fmt.Sprint(length) {
			t.Errorf("streamed: %d bytes came back, announced %s, want %d", len(h.body), h.value("x-length"), length)
		}
	}
}

// RFC 9113 section 8.1.1: "A request or response is also malformed if the value of a content-length header field does not equal the
// sum of the DATA frame payload lengths that form the content, unless the message is defined as having no content."
// "Malformed requests or responses that are detected MUST be treated as a stream error (Section 5.4.2) of type PROTOCOL_ERROR."
func TestH2ContentOfAnotherLength(t *testing.T) {
	asked, read := make(chan struct{}, 1), make(chan string, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		text, err := io.ReadAll(r.Body)
		read <- fmt.Sprintf("%d bytes, complete %v", len(text), err == nil)
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	// The log says that a request was dealt with; so many there are.
	broken := 0
	for _, test := range []struct {
		length   string
		first    string
		last     string
		streamed bool
		want     string
	}{
		{length: "3", first: "he", last: "llo"},
		{length: "9", first: "he", last: "llo"},
		{length: "3", first: "he", last: "llo", streamed: true, want: "2 bytes, complete false"},
		{length: "9", first: "he", last: "llo", streamed: true, want: "5 bytes, complete false"},
		{length: "100000", first: "he", last: "llo", streamed: true, want: "5 bytes, complete false"},
	} {
		id := c.ask(false, "POST", "/", "content-length", test.length)
		c.out.WriteData(id, false, []byte(test.first))
		if test.streamed {
			c.flush()
			wait(t, "the request", asked)
		}
		c.data(id, true, []byte(test.last))
		h := c.wantReset(id, http2.ErrCodeProtocol)
		if h.status != "" {
			t.Errorf("%+v: status %s", test, h.status)
		}
		broken++
		eventually(t, "the request is logged", func() bool { return d.log.count("msg", "request", "status", "499") == broken })
		got := ""
		if test.streamed {
			got = wait(t, "what the upstream read", read)
		}
		if bytes, _, _ := strings.Cut(test.want, " "); !strings.HasSuffix(got, strings.TrimPrefix(test.want, bytes)) {
			t.Errorf("%+v: the upstream read %s", test, got)
		}
		c.want(c.get("/fixed"), "200", "fixed\n")
	}
	select {
	case <-asked:
		t.Error("a request that was malformed from the start was passed on")
	default:
	}
}

func TestH2ResetWhileHeld(t *testing.T) {
	up := newUpstreamServer(t, echo)
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	hc := d.conn(t)
	id := c.ask(false, "POST", "/reset", "content-length", "9")
	c.out.WriteData(id, false, []byte("hello"))
	c.out.WriteRSTStream(id, http2.ErrCodeCancel)
	c.flush()
	d.log.wait(t, "msg", "request", "status", "499", "path", "/reset")
	c.want(c.get("/fixed"), "200", "fixed\n")
	hc.mu.Lock()
	held := len(hc.held)
	hc.mu.Unlock()
	if held != 0 {
		t.Errorf("%d requests are held", held)
	}
}

func TestH2ClosedWhileHeld(t *testing.T) {
	up := newUpstreamServer(t, echo)
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	for range 10 {
		id := c.ask(false, "POST", "/", "content-length", "9")
		c.out.WriteData(id, false, []byte("hello"))
	}
	c.ping() // they have been read
	c.nc.Close()
	eventually(t, "all requests are logged", func() bool { return d.log.count("msg", "request", "status", "499") == 10 })
	d.wantNothingLeft(t)
}

// RFC 9110 section 10.1.1: "Upon receiving an HTTP/1.1 (or later) request that has a method, target URI, and complete header section
// that contains a 100-continue expectation and indicates that request content will follow, an origin server MUST send either:
// an immediate response with a final status code ... or an immediate 100 (Continue) response".
func TestH2ExpectContinue(t *testing.T) {
	seen := make(chan http.Header, 1)
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		echo(w, r)
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	// "The Expect field value is case-insensitive."
	for _, fields := range [][]string{{"expect", "100-continue", "content-length", "5"}, {"expect", "100-continue"}, {"expect", "100-Continue"}} {
		id := c.ask(false, "POST", "/", fields...)
		c.flush()
		c.until("100", func() bool { h := c.streams[id]; return h != nil && len(h.interim) > 0 })
		c.data(id, true, []byte("hello"))
		h := c.want(id, "200", "hello")
		if len(h.interim) != 1 || h.interim[0] != "100 " {
			t.Errorf("interim answers %q", h.interim)
		}
		// The gateway has met the expectation: it is nobody's any more.
		if expect := wait(t, "the request", seen)["Expect"]; expect != nil {
			t.Errorf("the upstream saw Expect %q", expect)
		}
	}
	// "an immediate response with a final status code, if that status can be determined by examining just the method, target URI,
	// and header section"
	id := c.ask(false, "POST", "/fixed", "expect", "100-continue", "content-length", "5")
	c.flush()
	if h := c.want(id, "200", "fixed\n"); len(h.interim) != 0 {
		t.Errorf("interim answers %q", h.interim)
	}
	c.data(id, true, []byte("hello"))
	c.ping()
}
