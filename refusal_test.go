package usher_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
)

// meddling is what an outer handler does to answers before the guard sees the request.
func meddling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range map[string]string{
			"Alt-Svc": `h3=":443"`, "Etag": `"x"`, "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT", "Server": "edge/1.2.3",
			"Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "Age": "1", "Via": "1.1 edge", "X-Powered-By": "edge/1.2.3",
			"Cache-Control": "public, max-age=31536000", "Content-Type": "image/png", "Content-Encoding": "gzip",
			"Set-Cookie": "a=b", "Access-Control-Allow-Origin": r.Header.Get("Origin"), "X-Host": r.Host, "Link": "</>; rel=x",
			"Content-Length": "1", "Trailer:X-Late": r.Host,
		} {
			h.Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

func serveMeddled(t *testing.T, w *world, change func(*usher.Config)) string {
	t.Helper()
	if change != nil {
		c := usher.Config{Sites: w.sites(t), Logger: w.book.logger()}
		change(&c)
		if err := w.g.Replace(c); err != nil {
			t.Fatal(err)
		}
	}
	srv := newServer(w.g, echo)
	srv.Handler = meddling(w.g.Handler(echo))
	srv.ConnContext = w.g.OnListener("public")
	return serveTLS(t, w.g, srv)
}

// RFC 7838 section 6: "An Alt-Svc header field in a 421 response MUST be ignored." RFC 9110 section 15.1: a 421 is not
// heuristically cacheable; no-store keeps explicit freshness out too.
func TestRefusalFields(t *testing.T) {
	w := newWorld(t, nil)
	addr := serveMeddled(t, w, nil)
	allowed := map[string]bool{"Cache-Control": true, "Content-Type": true, "Content-Length": true, "Date": true, "X-Content-Type-Options": true}
	for _, proto := range protos {
		l := (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		for host, status := range map[string]int{"cert.test": 421, "unknown.test": 421, "staff.test": 421, "a..test": 400} {
			a := l.get(host, "Origin", "https://origin.test", "If-None-Match", `"x"`)
			a.want(t, proto+" "+host, status)
			for name, values := range a.header {
				if !allowed[name] {
					t.Errorf("%s %s: field %s: %q", proto, host, name, values)
				}
			}
			if got := a.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s %s: Cache-Control %q", proto, host, got)
			}
			everything := a.body
			for _, values := range a.header {
				everything += strings.Join(values, " ")
			}
			for _, secret := range []string{host, "origin.test", "edge", "usher", "staff", "_mismatch", "unknown_origin"} {
				if strings.Contains(everything, secret) {
					t.Errorf("%s %s: the answer says %q:\n%v\n%s", proto, host, secret, a.header, a.body)
				}
			}
		}
	}
}

// What is refused looks the same whatever is behind the door.
func TestRefusalsAreAlike(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		var first answer
		for i, host := range []string{"unknown.test", "cert.test", "staff.test", "own.test", "side.test:9443", "uncovered.test"} {
			a := l.get(host)
			for _, name := range []string{"Date", "X-Reason", "X-Observed"} {
				a.header.Del(name)
			}
			if i == 0 {
				first = a
			}
			if a.status != 421 || a.body != first.body || len(a.header) != len(first.header) || a.close {
				t.Errorf("%s: %s is told apart: %v, %v", proto, host, a, first)
			}
		}
	}
}

func TestRefusalBodies(t *testing.T) {
	w := newWorld(t, nil)
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		for accept, want := range map[string]string{
			"":    "text/plain; charset=utf-8",
			"*/*": "text/plain; charset=utf-8",
			"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html; charset=utf-8",
			"Text/HTML":                         "text/html; charset=utf-8",
			"application/json":                  "application/problem+json",
			"application/problem+json;q=1, */*": "application/problem+json",
			"application/vnd.api+json":          "application/problem+json",
			"image/png":                         "text/plain; charset=utf-8",
		} {
			var fields []string
			if accept != "" {
				fields = []string{"Accept", accept}
			}
			get, head := l.get("cert.test", fields...), l.ask("HEAD", "cert.test", "", fields...)
			if got := get.header.Get("Content-Type"); got != want {
				t.Errorf("%s Accept %q: %s, want %s", proto, accept, got, want)
			}
			if !strings.Contains(get.body, "new connection") || !strings.Contains(get.body, "421") {
				t.Errorf("%s Accept %q: the body says %q", proto, accept, get.body)
			}
			// RFC 9110 section 8.6: "A server MAY send a Content-Length header field in a response to a HEAD request", with
			// the length that a GET would have.
			if n := strconv.Itoa(len(get.body)); get.header.Get("Content-Length") != n || head.header.Get("Content-Length") != n || head.body != "" {
				t.Errorf("%s Accept %q: lengths %v and %v, body %d, HEAD body %q", proto, accept,
					get.header["Content-Length"], head.header["Content-Length"], len(get.body), head.body)
			}
			if strings.HasSuffix(want, "json") {
				checkProblem(t, get.body, 421)
			}
		}
	}
}

// Refuse itself writes no body to HEAD: not every server takes it away.
func TestRefuseHead(t *testing.T) {
	rec := httptest.NewRecorder()
	new(usher.Guard).Refuse(rec, httptest.NewRequest("HEAD", "https://a.test/", nil), authority.Answer(authority.EarlyData))
	if rec.Code != 425 || rec.Body.Len() > 0 || rec.Header().Get("Content-Length") == "0" {
		t.Errorf("got %d %v %q", rec.Code, rec.Header(), rec.Body)
	}
}

// RFC 9457 section 3.1: the members type, status, title and detail.
func checkProblem(t *testing.T, body string, status int) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Type != "about:blank" || p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("problem details %q: %+v, %v", body, p, err)
	}
}

func TestNoRefusalBody(t *testing.T) {
	w := newWorld(t, nil)
	addr := serveMeddled(t, w, func(c *usher.Config) { c.NoRefusalBody = true })
	for _, proto := range protos {
		l := (&caller{addr: addr, sni: "a.test", proto: proto}).open(t)
		for _, method := range []string{"GET", "HEAD", "POST"} {
			a := l.ask(method, "cert.test", "", "Accept", "text/html")
			a.want(t, proto, 421)
			if a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("Content-Length") != "0" {
				t.Errorf("%s %s: %v %q", proto, method, a.header, a.body)
			}
		}
	}
}

// Property 4: the connection stays usable, unless the refused host is the one that it was made for and the reason is one
// of questions 5 to 8.
func TestConnectionAfterRefusal(t *testing.T) {
	w := newWorld(t, func(c *usher.Config) {
		c.UnknownHost = 404
		c.Sites[4].OwnConnections = true // staff2
	})
	for _, proto := range protos {
		for _, test := range []struct {
			sni, host string
			reason    authority.Reason
			ends      bool
		}{
			{"a.test", "cert.test", authority.CertificateMismatch, false},
			{"a.test", "uncovered.test", authority.CertificateMismatch, false},
			{"a.test", "staff.test", authority.ClientAuthMismatch, false},
			{"a.test", "own.test", authority.CoalescingRefused, false},
			{"a.test", "unknown.test", authority.UnknownOrigin, false},
			{"a.test", "a.test:444", authority.UnknownOrigin, false},
			{"side.test", "side.test:9443", authority.WrongListener, false},
			{"a.test", "a.test:9443", authority.WrongListener, false},
			{"a.test", "a..test", authority.MalformedAuthority, false},
			{"uncovered.test", "uncovered.test", authority.CertificateMismatch, true},
			{"uncovered.test", "Uncovered.test.:443", authority.CertificateMismatch, true},
			{"uncovered.test", "cert.test", authority.CertificateMismatch, false},
		} {
			l := w.open(t, proto, test.sni)
			a := l.get(test.host)
			what := proto + " SNI " + test.sni + " host " + test.host
			if a.reason() != test.reason.String() {
				t.Errorf("%s: %d %s, want %s", what, a.status, a.reason(), test.reason)
			}
			if a.close != (test.ends && proto == "h1") {
				t.Errorf("%s: Connection: close %t", what, a.close)
			}
			if got := l.ended(); got != test.ends {
				t.Errorf("%s: the connection ends: %t, want %t", what, got, test.ends)
			}
			if !test.ends {
				l.get(test.host).want(t, what+" again", a.status)
				if test.sni == "a.test" {
					l.get("a.test").want(t, what+", then a.test", 200)
				}
			}
		}
	}
}

// The same after a reload, when the connection's own site wants what its handshake did not prove (questions 6 and 8).
func TestConnectionOfAChangedSite(t *testing.T) {
	for _, proto := range protos {
		w := newWorld(t, quiet)
		auth, own := w.open(t, proto, "a.test"), w.open(t, proto, "b.test")
		auth.get("a.test").want(t, "before", 200)
		own.get("b.test").want(t, "before", 200)
		sites := w.sites(t)
		sites[0].ClientAuth, sites[0].ClientCAs = sites[3].ClientAuth, sites[3].ClientCAs
		sites[1].Name, sites[1].OwnConnections = "b renamed", true
		if err := w.g.Update(sites[:2], "b"); err != nil {
			t.Fatal(err)
		}
		auth.get("b.test").wantReason(t, proto+" a neighbour", 421, authority.CoalescingRefused)
		auth.get("a.test").wantReason(t, proto+" client authentication is new", 421, authority.ClientAuthMismatch)
		own.get("b.test").wantReason(t, proto+" connections of its own are new", 421, authority.CoalescingRefused)
		if !auth.ended() || !own.ended() {
			t.Errorf("%s: a connection without further use is kept", proto)
		}
	}
}

// A scheme is not cured by a new connection.
func TestSchemeMismatchKeepsConnection(t *testing.T) {
	w := newWorld(t, nil)
	l := w.open(t, "h2", "a.test")
	l.send(nil, ":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/").
		wantReason(t, "h2", 421, authority.SchemeMismatch)
	k := w.open(t, "h1", "a.test")
	a := k.text("GET", "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
	a.wantReason(t, "h1", 421, authority.SchemeMismatch)
	if l.ended() || k.ended() || a.close {
		t.Error("the connection ends")
	}
}

// The body of a refused request is not read by anybody, and does not become the next request.
func TestRefusedBodies(t *testing.T) {
	w := newWorld(t, nil)
	smuggled := "GET / HTTP/1.1\r\nHost: a.test\r\nX-Smuggled: yes\r\n\r\n"
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		for _, body := range []string{smuggled, strings.Repeat("x", 40000)} {
			l.ask("POST", "cert.test", body).wantReason(t, proto+" POST", 421, authority.CertificateMismatch)
			l.get("a.test").want(t, proto+" after it", 200)
		}
	}
	// RFC 9112 section 9.3: a server that does not read a body closes the connection. One that waits for 100 (Continue) is
	// told the answer at once.
	l := w.open(t, "h1", "a.test")
	a := l.text("POST", "POST / HTTP/1.1\r\nHost: cert.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	a.wantReason(t, "h1 Expect: 100-continue", 421, authority.CertificateMismatch)
	l = w.open(t, "h1", "a.test")
	chunked := "POST / HTTP/1.1\r\nHost: cert.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	l.text("POST", chunked).wantReason(t, "h1 chunked", 421, authority.CertificateMismatch)
	l.get("a.test").want(t, "h1 after chunked", 200)
}

// The refusal handler is replaced while serving.
func TestRefusalHandler(t *testing.T) {
	w := newWorld(t, nil)
	own := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		e := usher.ErrorFrom(r.Context())
		if e == nil {
			t.Error("a refusal handler without an error")
			return
		}
		rw.Header().Set("X-Own", e.Verdict.Reason.String()+" "+e.Authority+" "+e.SNI)
		rw.WriteHeader(e.Verdict.Status())
		io.WriteString(rw, "mine")
	})
	for _, proto := range protos {
		l := w.open(t, proto, "a.test")
		if a := l.get("cert.test"); a.header.Get("X-Own") != "" || a.body == "mine" {
			t.Errorf("%s: before: %v", proto, a)
		}
		w.g.SetRefusalHandler(own)
		a := l.get("cert.test")
		a.want(t, proto+" own handler", 421)
		if a.body != "mine" || a.header.Get("X-Own") != "certificate_mismatch cert.test a.test" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: own handler: %v %q", proto, a.header, a.body)
		}
		if a := l.get("a.test"); a.status != 200 || a.header.Get("X-Own") != "" {
			t.Errorf("%s: what is served goes to the refusal handler: %v", proto, a)
		}
		u := w.open(t, proto, "uncovered.test")
		u.get("uncovered.test").want(t, proto, 421)
		if !u.ended() {
			t.Errorf("%s: with an own handler the connection is kept", proto)
		}
		w.g.SetRefusalHandler(nil)
		if a := l.get("cert.test"); a.body == "mine" {
			t.Errorf("%s: the handler stays", proto)
		}
	}
	w.g.SetRefusalHandler(own)
	if a := w.plainLine(t).text(t, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.header.Get("Location") != "https://a.test/x" {
		t.Errorf("a redirect through an own handler leads to %q", a.header.Get("Location"))
	}
}

// An Error says everything to the log, and Check returns it.
func TestCheck(t *testing.T) {
	w := newWorld(t, nil)
	errs := make(chan error, 2)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { errs <- w.g.Check(r) })}
	srv.ConnContext = w.g.OnListener("public")
	l := (&caller{addr: serveTLS(t, w.g, srv), sni: "a.test", proto: "h2"}).open(t)
	l.get("a.test")
	if err := <-errs; err != nil {
		t.Error(err)
	}
	l.get("cert.test")
	err := <-errs
	e, ok := err.(*usher.Error)
	if !ok || e.Verdict.Reason != authority.CertificateMismatch || e.Authority != "cert.test" || e.SNI != "a.test" {
		t.Fatalf("got %#v", err)
	}
	if want := `usher: certificate_mismatch: 421 for authority "cert.test" on a connection with SNI "a.test"`; e.Error() != want {
		t.Errorf("got %s", e)
	}
	if usher.ErrorFrom(t.Context()) != nil {
		t.Error("a context without a refusal has one")
	}
}

// The log has the reason, both names and the cure; the client has none of it.
func TestRefusalLog(t *testing.T) {
	w := newWorld(t, nil)
	w.open(t, "h2", "a.test").get("staff.test")
	for _, e := range w.book.entries(t) {
		if e["reason"] == "client_auth_mismatch" {
			if e["sni"] != "a.test" || e["authority"] != "staff.test" || e["site"] != "staff" || e["handshake_site"] != "a" ||
				e["proto"] != "HTTP/2.0" || e["status"] != 421.0 || e["cure"] == "" {
				t.Errorf("the log says %v", e)
			}
			return
		}
	}
	t.Error("nothing in the log")
}

func TestEveryReasonHasACure(t *testing.T) {
	for _, r := range authority.Reasons() {
		if (usher.Cure(r) == "") != (r == authority.OK) {
			t.Errorf("%s: cure %q", r, usher.Cure(r))
		}
	}
}
