package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A wire1 is a connection on which a test says what it likes, in HTTP/1.1 or not.
type wire1 struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (r *running) wire1(t *testing.T) *wire1 {
	t.Helper()
	c := r.raw(t, "tls", "a.test.example")
	return &wire1{c, t, bufio.NewReader(c)}
}

// say writes a text in which HOST stands for a good Host field.
func (w *wire1) say(format string, args ...any) {
	w.t.Helper()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "HOST", "Host: a.test.example\r\n")
	if _, err := io.WriteString(w, text); err != nil {
		w.t.Fatal(err)
	}
}

// hear reads one answer, be it an interim one.
func (w *wire1) hear(method string) answer {
	w.t.Helper()
	res, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode < 200 {
		return answer{res, ""}
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// ended checks that nothing follows but the end of the connection.
func (w *wire1) ended() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.in); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		w.t.Errorf("behind the last answer came %q, %v", rest, err)
	}
}

// echoes is an upstream that answers with what it was asked.
func echoes(t *testing.T) string {
	return proxied(newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		for name := range r.Trailer {
			w.Header().Set(http.TrailerPrefix+name, r.Trailer.Get(name)+"!")
		}
		if r.URL.Query().Has("flush") {
			http.NewResponseController(w).Flush() // the length is not known then
		}
		fmt.Fprintf(w, "%s %s %q %v", r.Method, r.URL.Path, body, err)
	})) + "log: {level: debug}\nadmin: {address: \"127.0.0.1:0\"}\n"
}

// RFC 9112 section 9.3.2: "A server MAY process a sequence of pipelined requests in parallel if they all have safe methods, but it MUST
// send the corresponding responses in the same order that the requests were received."
func TestH1Pipelining(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	c.say("POST /1 HTTP/1.1\r\nHOSTContent-Length: 3\r\n\r\nabc" + "GET /2 HTTP/1.1\r\nHOST\r\n" +
		"POST /3 HTTP/1.1\r\nHOSTTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n2;x\r\ngh\r\n0\r\n\r\n" + "HEAD /4?flush HTTP/1.1\r\nHOST\r\n" +
		"\r\nGET /5 HTTP/1.1\r\nHOSTConnection: close\r\n\r\nGET /6 HTTP/1.1\r\nHOST\r\n")
	for _, want := range []string{`POST /1 "abc" <nil>`, `GET /2 "" <nil>`, `POST /3 "defgh" <nil>`, "", `GET /5 "" <nil>`} {
		method := "GET"
		if want == "" {
			method = "HEAD"
		}
		if got := c.hear(method); got.StatusCode != 200 || got.text != want {
			t.Errorf("%d %q, want %q", got.StatusCode, got.text, want)
		}
	}
	c.ended()
	// The same where the content does not come with the header section.
	c = r.wire1(t)
	c.say("POST /1 HTTP/1.1\r\nHOSTContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if got := c.hear("POST"); got.StatusCode != 100 {
		t.Fatalf("%d", got.StatusCode)
	}
	c.say("abcGET /2 HTTP/1.1\r\nHOST\r\n")
	c.hear("POST").want(t, 200, `POST /1 "abc" <nil>`)
	c.hear("GET").want(t, 200, `GET /2 "" <nil>`)
}

// However a request is cut into writes, the same comes of it.
func TestH1ByDrops(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	for _, b := range []byte("\r\nPOST /1 HTTP/1.1\r\nHost: a.test.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\nX: y\r\n\r\n") {
		c.Write([]byte{b})
	}
	c.hear("POST").want(t, 200, `POST /1 "def" <nil>`)
	c.say("GET /2 HTTP/1.1\r\nHOST\r\n")
	c.hear("GET").want(t, 200, `GET /2 "" <nil>`)
}

func TestH1Versions(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	c.say("GET /1 HTTP/1.0\r\nHOSTConnection: keep-alive\r\n\r\n")
	if got := c.hear("GET").want(t, 200, `GET /1 "" <nil>`); got.Header.Get("Connection") != "keep-alive" {
		t.Errorf("%v", got.Header)
	}
	// RFC 9112 section 6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request indicates
	// HTTP/1.1 (or later minor revisions)." What has no known length ends with the connection then.
	c.say("GET /2?flush HTTP/1.0\r\nHOSTConnection: keep-alive\r\n\r\n")
	got := c.hear("GET").want(t, 200, `GET /2 "" <nil>`)
	if got.TransferEncoding != nil || !got.Close || got.Header.Get("Connection") != "" && got.Header.Get("Connection") != "close" {
		t.Errorf("%v, coding %v", got.Header, got.TransferEncoding)
	}
	c = r.wire1(t)
	c.say("GET /3 HTTP/1.0\r\nHOST\r\n")
	if got := c.hear("GET").want(t, 200, `GET /3 "" <nil>`); !got.Close {
		t.Errorf("%v", got.Header)
	}
	c.ended()
}

func TestH1Interim(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "final")
	})
	r := newFolder(t).start(t, proxied(up))
	c := r.wire1(t)
	c.say("GET / HTTP/1.1\r\nHOST\r\n")
	if got := c.hear("GET"); got.StatusCode != 103 || got.Header.Get("Link") != "</x>" || got.Header.Get("Content-Length") != "" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	c.hear("GET").want(t, 200, "final")
	// RFC 9110 section 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client."
	c.say("GET / HTTP/1.0\r\nHOST\r\n")
	c.hear("GET").want(t, 200, "final")
}

// What is no good request is answered, logged and counted, and ends the connection. (It was in neither log nor metric: whoever looked for
// the 400s that a client complained of found nothing, where nginx and HAProxy have a line for each.)
func TestH1Refusals(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	long := strings.Repeat("x", maxHeaderBytes)
	const large, longTarget = "a header section that is too large", "a request line that is too long"
	count := map[int]float64{}
	for _, test := range []struct {
		text                string
		status              int
		method, path, error string // as logged
	}{
		{"GET /nohost?secret HTTP/1.1\r\n\r\n", 400, "GET", "/nohost", "Host, malformed, missing or more than one"},
		{"GET / HTTP/1.1\nHOST\n", 400, "GET", "/", "a line that ends with LF alone"},
		{"\r\n\r\nGET / HTTP/1.1\r\nHOST\r\n", 400, "", "", "an empty line in place of the request line"},
		{"\rGET / HTTP/1.1\r\nHOST\r\n", 400, "", "", "a bare CR"},
		{"GET / HTTP/2.0\r\nHOST\r\n", 505, "GET", "/", "a version that is not spoken here"},
		{"POST /te HTTP/1.1\r\nHOSTTransfer-Encoding: gzip\r\n\r\n", 501, "POST", "/te", "Transfer-Encoding other than chunked"},
		{"GET /ex HTTP/1.1\r\nHOSTExpect: more\r\n\r\n", 417, "GET", "/ex", "an expectation that is not known"},
		{"GET https://user:secret@a.test.example/abs?secret HTTP/1.1\r\nHOSTa b: c\r\n\r\n", 400, "GET", "/abs", "a field name with the byte ' '"},
		{"GET /\x1b\xc2\x9b31m HTTP/1.1\r\nHOST\x1b: c\r\n\r\n", 400, "", "", "a field name with the byte '\\x1b'"},
		{"GET /\xc2\x9b31m HTTP/1.1\r\nHOSTx\r\n\r\n", 400, "GET", "/\u009b31m", "a field line without a name"},
		{"CONNECT a.test.example:443 HTTP/1.1\r\nHOSTx\r\n\r\n", 400, "CONNECT", "", "a field line without a name"},
		{"GET / HTTP/1.1\r\nHOSTX: " + long + "\r\n\r\n", 431, "GET", "/", large},
		// RFC 9112 section 3: "A server that receives a request-target longer than any URI it wishes to parse MUST respond with a 414".
		{"GET /" + long + " HTTP/1.1\r\nHOST\r\n", 414, "", "", longTarget},
		{"GET /" + strings.Repeat(long, 4), 414, "", "", longTarget},
		{"GET /" + long[:maxHeaderBytes-100] + " HTTP/1.1\r\nHOSTX: " + long + "\r\n\r\n", 431, "GET", "/" + long[:maxHeaderBytes-100], large},
		{"GET / HTTP/1.1\r\nHOSTX: " + long, 431, "GET", "/", large},
		{"GET / HTTP/1.1\r\nHOSTX: " + strings.Repeat(long, 4), 431, "GET", "/", large},
		{"GET / HTTP/1.1\r\nHOST" + strings.Repeat("X:\r\n", 2000) + "\r\n", 431, "GET", "/", large},
	} {
		r.log.forget()
		for _, before := range []string{"", "GET /before HTTP/1.1\r\nHOST\r\n"} {
			c := r.wire1(t)
			c.say("%s%sGET /after HTTP/1.1\r\nHOST\r\n", before, test.text)
			if before != "" {
				c.hear("GET").want(t, 200, "before")
			}
			if got := c.hear("GET").want(t, test.status, ""); !got.Close || got.Header.Get("Date") == "" {
				t.Errorf("%.40q: %v", test.text, got.Header)
			}
			c.ended()
			remote := c.LocalAddr().String()
			wantFields(t, r.log.wait(t, "msg", "request", "remote", remote, "reason", malformedRequest), map[string]any{
				"level": "INFO", "listener": "tls", "proto": "h1", "method": test.method, "authority": "", "path": test.path, "status": test.status,
				"bytes": len(fmt.Sprintf("%d %s\n", test.status, phraseOf(test.status))), "verdict": "malformed", "error": test.error,
				"site": nil, "cure": nil, "tls": "1.3", "sni": "a.test.example", "handshake_site": "a.test.example",
			})
			if n := r.log.count("msg", "request", "remote", remote); n != 1+min(len(before), 1) {
				t.Errorf("%.40q: %d lines", test.text, n)
			}
			if n := r.log.count("msg", "connection", "level", "DEBUG", "listener", "tls", "error", "HTTP/1.1 from "+remote+": "+test.error); n != 1 {
				t.Errorf("%.40q: %d lines at debug", test.text, n)
			}
			if text := r.log.text(); strings.Contains(text, "secret") || strings.ContainsAny(text, "\x1b\u009b") {
				t.Errorf("the log has what it must not have: %q", text)
			}
			count[test.status]++
		}
	}
	for status, n := range count {
		r.wantMetric(t, n, "usher_requests_total", "proto=h1", fmt.Sprint("status=", status))
		r.wantMetric(t, n, "usher_malformed_requests_total", "proto=h1", fmt.Sprint("status=", status))
	}
	r.wantMetric(t, 18, "usher_requests_total", "proto=h1", "status=200")
	r.wantMetric(t, 0, "usher_malformed_requests_total", "proto=h1", "status=200")
	r.wantMetric(t, 18, "usher_verdicts_total", "proto=h1", "reason=ok")
}

// Who breaks off a header section, or speaks HTTP where TLS is spoken, is told so, and it is logged. Who connects and says nothing is not.
func TestH1RefusalsOfOthers(t *testing.T) {
	r := newFolder(t).start(t, basic)
	for _, test := range []struct{ listener, text, error string }{
		{"tls", "GET / HTTP/1.1\r\nHost: a.test.example\r\n\r\n", "no TLS where https is spoken"},
		{"plain", "GET / HTTP/1.1\r\nHost: a.te", "a header section that breaks off"},
		{"plain", "\x16\x03\x01\x02\x00\n", "a line that ends with LF alone"},
		{"tls", "\x80", ""},
		{"tls", "", ""},
		{"plain", "", ""},
	} {
		r.log.forget()
		c, err := net.Dial("tcp", r.addr(t, test.listener))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, test.text)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
		if test.error == "" {
			if n := r.log.count("msg", "request"); n != 0 {
				t.Errorf("%q: %d lines", test.text, n)
			}
			continue
		}
		wantFields(t, r.log.wait(t, "msg", "request", "remote", c.LocalAddr().String()), map[string]any{
			"listener": test.listener, "proto": "h1", "status": 400, "verdict": "malformed", "reason": malformedRequest, "error": test.error, "tls": nil,
		})
	}
	r.wantMetric(t, 3, "usher_malformed_requests_total", "proto=h1", "status=400")
}

// RFC 9110 section 15.5.9: 408 "indicates that the server did not receive a complete request message within the time that it was prepared
// to wait". Who has begun a header section gets it, and is logged; who has sent nothing, or waits between requests, is closed without a word.
func TestH1HeaderThatStops(t *testing.T) {
	r := newFolder(t).start(t, basic+"\ntimeouts: {header: 1s, idle: 1s}\n")
	const first = "OPTIONS * HTTP/1.1\r\nHOST\r\n"
	t.Run("all", func(t *testing.T) {
		for _, test := range []struct{ listener, before, text, method, path string }{
			{"tls", "", "GET /x?secret HTTP/1.1\r\nHost: a.te", "GET", "/x"},
			{"tls", first, "GET /x HTTP/1.1\r\nHOSTX: y\r\n", "GET", "/x"},
			{"tls", "", "G", "", ""},
			{"plain", "", "GET /x HTTP/1.1\r\n", "GET", "/x"},
			{"plain", "", "P", "", ""}, // which HTTP/2 may begin with, too
			{"plain", "", preface[:10], "PRI", "*"},
			{"tls", "", "", "", ""},
			{"tls", "", "\r\n", "", ""},
			{"tls", first, "", "", ""},
			{"plain", "", "", "", ""},
		} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				sni := ""
				if test.listener == "tls" {
					sni = "a.test.example"
				}
				nc := r.raw(t, test.listener, sni)
				c := &wire1{nc, t, bufio.NewReader(nc)}
				c.say("%s%s", test.before, test.text)
				if test.before != "" {
					c.hear("OPTIONS").want(t, 200, "")
				}
				remote := c.LocalAddr().String()
				if strings.TrimSpace(test.text) == "" {
					c.ended()
					if n := r.log.count("msg", "request", "remote", remote, "reason", malformedRequest); n != 0 {
						t.Errorf("%q: %d lines", test.text, n)
					}
					return
				}
				if got := c.hear("GET").want(t, 408, "408 Request Timeout\n"); !got.Close || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%q: %v", test.text, got.Header)
				}
				c.ended()
				wantFields(t, r.log.wait(t, "msg", "request", "remote", remote, "reason", malformedRequest), map[string]any{
					"level": "INFO", "listener": test.listener, "proto": "h1", "method": test.method, "path": test.path, "status": 408, "verdict": "malformed",
					"error": "a header section that did not come in time",
				})
			})
		}
	})
	if text := r.log.text(); strings.Contains(text, "secret") {
		t.Errorf("the log has what it must not have: %q", text)
	}
	r.wantMetric(t, 6, "usher_malformed_requests_total", "proto=h1", "status=408")
	r.wantMetric(t, 6, "usher_requests_total", "proto=h1", "status=408")
}

func TestH1LargeHeader(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	for range 2 {
		c.say("GET /%s HTTP/1.1\r\nHOSTX: %s\r\n\r\nGET /next HTTP/1.1\r\nHOST\r\n", strings.Repeat("p", 20_000), strings.Repeat("x", 40_000))
		c.hear("GET").want(t, 200, "ppp")
		c.hear("GET").want(t, 200, "/next")
	}
}

// A client that asks for more while it waits for an answer is not taken for one that is gone, and what it sends is kept.
func TestH1SendsWhileItWaits(t *testing.T) {
	text, asked, let := slow(t)
	r := newFolder(t).start(t, text)
	c := r.wire1(t)
	c.say("POST /1 HTTP/1.1\r\nHOSTContent-Length: 2\r\n\r\nab")
	wait(t, "the request", asked)
	time.Sleep(2 * lookAfter)
	c.say("POST /2 HTTP/1.1\r\nHOSTContent-Length: 2\r\n")
	time.Sleep(lookAfter)
	c.say("\r\nabGET /3 HTTP/1.1\r\nHOST\r\n")
	time.Sleep(lookAfter / 2)
	close(let)
	for range 3 {
		c.hear("GET").want(t, 200, "answered")
	}
}

// A client that goes while its request is with the upstream cancels it, even where it has sent another request before.
func TestH1GoesWhileItWaits(t *testing.T) {
	asked, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	up := newUpstreamServer(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	r := newFolder(t).start(t, proxied(up))
	for _, text := range []string{"GET / HTTP/1.1\r\nHOST\r\nGET / HTTP/1.1\r\nHOST\r\n", "POST / HTTP/1.1\r\nHOSTTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"} {
		c := r.wire1(t)
		c.say("%s", text)
		wait(t, "the request", asked)
		c.Close()
		wait(t, "the end of the upstream's request", gone)
	}
	eventually(t, "it is logged", func() bool { return r.log.count("msg", "request", "status", "499") == 2 })
}

// A connection that rests has let go of its buffers, and takes them up again.
func TestH1Rests(t *testing.T) {
	r := newFolder(t).start(t, echoes(t))
	c := r.wire1(t)
	for range 2 {
		time.Sleep(restAfter + restAfter/4)
		c.say("POST /%s HTTP/1.1\r\nHOSTContent-Length: 4\r\n\r\nabcd", strings.Repeat("p", 1000))
		c.hear("POST").want(t, 200, `"abcd" <nil>`)
	}
}

func TestH1Shutdown(t *testing.T) {
	text, asked, let := slow(t)
	r := newFolder(t).start(t, text+"timeouts: {drain: 1h}\n")
	idle, busy := r.wire1(t), r.wire1(t)
	idle.say("OPTIONS * HTTP/1.1\r\nHOST\r\n")
	idle.hear("OPTIONS").want(t, 200, "")
	busy.say("GET /1 HTTP/1.1\r\nHOST\r\nGET /2 HTTP/1.1\r\nHOST\r\n")
	wait(t, "the request", asked)
	fresh := r.wire1(t)
	done := r.shutdown()
	idle.ended()
	// It was just made: its request is on the way. By now every connection was told, and more than once.
	time.Sleep(2 * tellEvery)
	fresh.say("OPTIONS * HTTP/1.1\r\nHOST\r\n")
	if got := fresh.hear("OPTIONS").want(t, 200, ""); !got.Close {
		t.Error("the fresh connection goes on")
	}
	fresh.Close()
	select {
	case err := <-done:
		t.Fatalf("ended with a request in hand: %v", err)
	default:
	}
	close(let)
	// RFC 9112 section 9.6: "A server that sends a "close" connection option MUST initiate closure of the connection after it sends the
	// response containing the close connection option."
	if got := busy.hear("GET").want(t, 200, "answered"); !got.Close {
		t.Error("the connection goes on")
	}
	busy.ended()
	busy.Close()
	if err := wait(t, "the shutdown", done); err != nil {
		t.Error(err)
	}
}

// Where the end of the connection is the end of the content, one that breaks off must not end like one that is whole.
func TestH1BreaksOffVisibly(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r := newFolder(t).start(t, strings.Replace(proxied(up), "listeners: [", "listeners: [{name: plain, address: \"127.0.0.1:0\", scheme: http}, ", 1)+"    http: serve\n")
	for _, version := range []string{"1.0", "1.1"} {
		for _, sni := range []string{"", "a.test.example"} {
			listener := "plain"
			if sni != "" {
				listener = "tls"
			}
			c := r.raw(t, listener, sni)
			fmt.Fprintf(c, "GET / HTTP/%s\r\nHost: a.test.example\r\n\r\n", version)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				continue // a reset may overtake the header section
			}
			if text, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("HTTP/%s, SNI %q: read %q without an error", version, sni, text)
			}
		}
	}
}

// A tunnel hands on what the client has sent ahead, and what it says later than the watch over its exchange would look; also where the
// watch has begun before the tunnel.
func TestH1Tunnel(t *testing.T) {
	for _, after := range []time.Duration{0, 3 * lookAfter} {
		t.Run(after.String(), func(t *testing.T) {
			up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(after)
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer c.Close()
				rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n")
				rw.Flush()
				io.Copy(c, rw)
			})
			r := newFolder(t).start(t, proxied(up))
			c := r.wire1(t)
			c.say("GET / HTTP/1.1\r\nHOSTConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nahead\n")
			time.Sleep(after / 2)
			c.say("then\n")
			if got := c.hear("GET"); got.StatusCode != 101 || got.Header.Get("Upgrade") != "websocket" || got.Header.Get("Connection") != "Upgrade" || got.Header.Get("X") != "y" {
				t.Fatalf("%d %v", got.StatusCode, got.Header)
			}
			for _, want := range []string{"ahead\n", "then\n", "late\n", "later\n"} {
				if strings.HasPrefix(want, "late") {
					time.Sleep(2 * lookAfter)
					c.say("%s", want)
				}
				if got, err := c.in.ReadString('\n'); got != want || err != nil {
					t.Fatalf("%q, %v; want %q", got, err, want)
				}
			}
			c.Close()
			r.log.wait(t, "msg", "request", "status", "101", "bytes", "22")
		})
	}
}
