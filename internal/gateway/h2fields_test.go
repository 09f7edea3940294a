package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// What goes to the upstream is what the client sent, but for what is about the connection and for what is ours to say.
func TestH2FieldsToTheUpstream(t *testing.T) {
	seen := make(chan *http.Request, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	id := c.get("/a%2Fb//c?d=1;e",
		"cookie", "a=1", "x-mine", "one", "cookie", "b=2", "x-mine", "two", "cookie", "c=3",
		"te", "trailers", "trailer", "x-none", "http2-settings", "AAMAAABkAARAAAAAAAIAAAAA", "proxy-authorization", "Basic x",
		"forwarded", "for=evil", "x-forwarded-for", "evil", "x-forwarded-host", "evil", "x-forwarded-proto", "http", "x-forwarded-port", "1",
		"x-real-ip", "evil", "client-cert", ":evil:", "client-cert-chain", ":evil:", "x_forwarded_for", "evil", "client_cert", ":evil:",
		"accept-encoding", "gzip", "range", "bytes=0-1", "priority", "u=1")
	c.want(id, "200", "")
	r := wait(t, "the request", seen)
	if r.RequestURI != "/a%2Fb//c?d=1;e" || r.Host != "a.test.example" || r.Proto != "HTTP/1.1" || len(r.TransferEncoding) > 0 || r.ContentLength != 0 {
		t.Errorf("the upstream saw %s %s %s %v %d", r.RequestURI, r.Host, r.Proto, r.TransferEncoding, r.ContentLength)
	}
	want := http.Header{
		// RFC 9113 section 8.2.3: "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a
		// single octet string using the two-octet delimiter of 0x3b, 0x20 (the ASCII string "; ") before being passed into a
		// non-HTTP/2 context".
		"Cookie": {"a=1; b=2; c=3"},
		"X-Mine": {"one", "two"},
		// RFC 9110 section 10.1.4: "A sender of TE MUST also send a "TE" connection option within the Connection header field".
		"Te":                {"trailers"},
		"Connection":        {"te"},
		"Forwarded":         {`for=127.0.0.1;host="a.test.example";proto=https`},
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {"a.test.example"},
		"X-Forwarded-Proto": {"https"},
		"Via":               {"2.0 usher"},
		"Accept-Encoding":   {"gzip"},
		"Range":             {"bytes=0-1"},
		"Priority":          {"u=1"},
	}
	for name, values := range r.Header {
		if !slices.Equal(values, want[name]) {
			t.Errorf("%s: %q, want %q", name, values, want[name])
		}
	}
	for name := range want {
		if r.Header[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// RFC 9110 section 6.5.1: trailers are kept apart from header fields. What clients may not say in these they may not say there.
func TestH2TrailersToTheUpstream(t *testing.T) {
	type content struct {
		text     string
		err      error
		trailers http.Header
	}
	seen := make(chan content, 10) // nobody waits for those of requests that were broken off
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		seen <- content{string(text), err, r.Trailer}
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	for _, text := range []string{"hello", ""} {
		id := c.ask(false, "POST", "/")
		if text != "" {
			c.out.WriteData(id, false, []byte(text))
		}
		c.headers(id, true, "x-sum", "1", "x-forwarded-for", "evil", "forwarded", "for=evil", "client-cert", ":evil:", "x_real_ip", "evil",
			"content-length", "9", "host", "evil", "trailer", "evil", "x-more", "2")
		c.flush()
		c.want(id, "200", "")
		got := wait(t, "the content", seen)
		if got.text != text || got.err != nil {
			t.Errorf("the upstream read %q, %v", got.text, got.err)
		}
		if want := "map[X-More:[2] X-Sum:[1]]"; fmt.Sprint(got.trailers) != want {
			t.Errorf("the upstream saw %v, want %s", got.trailers, want)
		}
	}
	// RFC 9113 section 8.1: "Trailers MUST NOT include pseudo-header fields", and section 8.2.2: "An endpoint MUST NOT generate an
	// HTTP/2 message containing connection-specific header fields. ... Any message containing connection-specific header fields
	// MUST be treated as malformed". The upstream must not take what came before for a whole request.
	for _, field := range []string{":path", "connection", "transfer-encoding"} {
		id := c.ask(false, "POST", "/")
		c.out.WriteData(id, false, []byte("hello"))
		c.flush()
		c.headers(id, true, field, "x")
		c.flush()
		c.wantReset(id, 1)
		select {
		case got := <-seen:
			if got.err == nil {
				t.Errorf("%s: the upstream read %q to its end", field, got.text)
			}
		default: // it was not asked
		}
	}
	c.want(c.get("/fixed"), "200", "fixed\n")
}

// A request that can be sent again is kept, trailers included, and goes out as it came all the same.
func TestH2TrailersGoOutOnce(t *testing.T) {
	asked, seen := make(chan struct{}, 1), make(chan http.Header, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	for range 3 { // on one connection to the upstream
		id := c.ask(false, "PUT", "/")
		c.flush()
		wait(t, "the request", asked)
		c.headers(id, true, "x-forwarded-for", "evil", "x-sum", "1", "client-cert", "evil", "x-more", "2")
		c.flush()
		c.want(id, "200", "")
		if got, want := fmt.Sprint(wait(t, "the trailers", seen)), "map[X-More:[2] X-Sum:[1]]"; got != want {
			t.Errorf("the upstream saw %s, want %s", got, want)
		}
	}
}

// said is an upstream that says to each request what it is told to.
func said(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				in := bufio.NewReader(nc)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(nc, text)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestH2AnswerOfTheUpstream(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for name, test := range map[string]struct {
		method, said string
		status, text string
		interim      []string
		fields       map[string]string
		trailers     string
	}{
		"fields": {
			said: head + "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nTE: gzip\r\n" +
				"Set-Cookie: a=1\r\nX-Up: Yes\r\nSet-Cookie: b=2\r\nAlt-Svc: h3=\":1\"\r\nDate: then\r\nContent-Length: 5\r\n\r\nhello",
			status: "200", text: "hello",
			fields: map[string]string{"connection": "", "x-hop": "", "keep-alive": "", "proxy-connection": "", "upgrade": "", "te": "",
				"set-cookie": "a=1|b=2", "x-up": "Yes", "alt-svc": "", "date": "then", "content-length": "5"},
		},
		"chunked, with trailers": {
			said:   head + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nX-Sum: 2\r\n\r\n",
			status: "200", text: "hello", fields: map[string]string{"transfer-encoding": "", "content-length": ""}, trailers: "x-sum=1 x-sum=2 ",
		},
		"trailers without content": {
			said:   head + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
			status: "200", trailers: "x-sum=1 ",
		},
		"early hints": {
			said: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" +
				head + "Content-Length: 5\r\n\r\nhello",
			status: "200", text: "hello", interim: []string{"103 </a>", "103 </b>"},
		},
		"HEAD": {
			method: "HEAD", said: head + "Content-Length: 5\r\n\r\n", status: "200", fields: map[string]string{"content-length": "5"},
		},
		"204": {said: "HTTP/1.1 204 No Content\r\n\r\n", status: "204"},
		"304": {said: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n", status: "304",
			fields: map[string]string{"etag": `"x"`}},
		"nonsense":      {said: "HTTP/1.1 200\r\nno field\r\n\r\n", status: "502", text: "502 Bad Gateway\n"},
		"a 101 unasked": {said: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", status: "502", text: "502 Bad Gateway\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, mixed(said(t, test.said)))
			c := d.wire(t)
			method := test.method
			if method == "" {
				method = "GET"
			}
			id := c.ask(true, method, "/")
			c.flush()
			h := c.want(id, test.status, test.text)
			if string(h.body) != test.text {
				t.Errorf("content %q", h.body)
			}
			if !slices.Equal(h.interim, test.interim) {
				t.Errorf("interim answers %q, want %q", h.interim, test.interim)
			}
			for name, want := range test.fields {
				if got := h.value(name); got != want {
					t.Errorf("%s: %q, want %q", textproto.CanonicalMIMEHeaderKey(name), got, want)
				}
			}
			trailers := ""
			for _, f := range h.trailers {
				trailers += f.Name + "=" + f.Value + " "
			}
			if trailers != test.trailers {
				t.Errorf("trailers %q, want %q", trailers, test.trailers)
			}
			c.want(c.get("/fixed"), "200", "fixed\n")
		})
	}
}

// An answer that breaks off must not look like one that is complete.
func TestH2AnswerThatBreaksOff(t *testing.T) {
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				http.ReadRequest(bufio.NewReader(nc))
				io.WriteString(nc, text)
				nc.Close()
			}()
			d := drive(t, mixed("http://"+l.Addr().String()))
			c := d.wire(t)
			h := c.wantReset(c.get("/"), 2) // INTERNAL_ERROR
			if h.ended || !strings.HasPrefix("hello", string(h.body)) {
				t.Errorf("%q, ended %v", h.body, h.ended)
			}
			d.log.wait(t, "msg", "request", "status", "200", "aborted", "true")
			c.want(c.get("/fixed"), "200", "fixed\n")
		})
	}
}
