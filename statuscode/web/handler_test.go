package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/usher-http/usher/statuscode"
)

// ask sends a request to the guide over a connection and returns the answer with its content.
func ask(t *testing.T, h http.Handler, method, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return w, string(body)
}

// TestStatuses: whatever is asked for has the right status, and what cannot be found is said without a way to inject anything.
func TestStatuses(t *testing.T) {
	const evil = "%3Cscript%3Ealert(1)%3C/script%3E"
	for _, test := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/", 200, "HTTP status codes"},
		{"GET", "/?q=misdriected", 200, "1 code for “misdriected”"},
		{"GET", "/?q=etag", 200, "2 codes for “etag”"},
		{"GET", "/?q=etag&class=3", 200, "1 code for “etag”"},
		{"GET", "/?q=teapot&class=5", 200, "There is something in other classes"},
		{"GET", "/?class=5xx", 200, `id="c5"`},
		{"GET", "/?class=7", 200, "There is no class “7”"},
		{"GET", "/?q=" + evil + "zzz", 200, "Nothing found for “&lt;script&gt;alert(1)&lt;/script&gt;zzz”"},
		{"GET", "/?class=" + evil, 200, "There is no class “&lt;script&gt;"},
		{"GET", "/?q=%FF%00&class=%FF", 200, "Nothing found"},
		{"GET", "/?q=" + strings.Repeat("a+", 5000), 200, "HTTP status codes"},
		{"GET", "/?%zz", 200, "HTTP status codes"},
		{"GET", "/421", 200, "Misdirected Request"},
		{"GET", "/421?x=1", 200, "Misdirected Request"},
		{"GET", "/418", 200, "(Unused)"},
		{"GET", "/421/", 308, ""},
		{"GET", "/419", 404, "Laravel"},
		{"GET", "/299", 404, "the registry has no such code"},
		{"GET", "/999", 404, "status codes go from 100 to 599"},
		{"GET", "/0421", 404, "There is no such page"},
		{"GET", "/redirect", 404, "Permanent Redirect"},
		{"GET", "/" + evil, 404, "There is no such page"},
		{"GET", "/421.html", 404, "There is no such page"},
		{"GET", "/a/b/c", 404, "There is no such page"},
		{"GET", "/..%2f..%2fetc%2fpasswd", 404, "There is no such page"},
		{"GET", "/%00", 404, "There is no such page"},
		{"GET", "//421", 404, "There is no such page"},
		{"GET", "/style.css", 200, "body"},
		{"GET", "/guide.js", 200, "use strict"},
		{"GET", "/icon.svg", 200, "<svg"},
		{"GET", "/templates/list.html", 404, ""},
		{"POST", "/421", 405, "This address takes GET, HEAD."},
		{"DELETE", "/", 405, ""},
		{"OPTIONS", "/", 204, ""},
		{"GET", "/api/codes", 200, `"code": 421`},
		{"GET", "/api/codes?class=5", 200, `"code": 511`},
		{"GET", "/api/codes?class=x", 400, "the classes are 1 to 5"},
		{"GET", "/api/codes?q=zzz", 200, `"codes": []`},
		{"GET", "/?q=522", 200, "522 is in no registry, but Cloudflare answers it"},
		{"GET", "/?q=HTTP%2F1.1+404+Not+Found", 200, "1 code for “HTTP/1.1 404 Not Found”"},
		{"GET", "/api/codes/421", 200, `"confused_with"`},
		{"GET", "/api/codes/419", 404, "the registry has no such code"},
		{"GET", "/api/codes/999", 404, "100 to 599"},
		{"GET", "/api/codes/abc", 400, "a number of three digits"},
		{"GET", "/api/codes/", 400, "a number of three digits"},
		{"GET", "/api/codes/421/x", 400, ""},
		{"GET", "/api/", 404, "api/codes"},
		{"GET", "/api", 404, ""},
		{"POST", "/api/codes", 405, ""},
		{"GET", "/try/419", 404, "no such code"},
		{"GET", "/try/999", 404, "100 to 599"},
		{"GET", "/try/abc", 400, "three digits"},
		{"GET", "/try/", 400, "three digits"},
		{"GET", "/try", 404, ""},
		{"GET", "/watch", 404, ""},
		{"POST", "/watch", 405, ""},
	} {
		w, body := ask(t, New(Options{}), test.method, test.path)
		if w.StatusCode != test.status || !strings.Contains(body, test.has) {
			t.Errorf("%s %s: %d, want %d with %q:\n%.300s", test.method, test.path, w.StatusCode, test.status, test.has, body)
		}
		if strings.Contains(body, "<script>alert") {
			t.Errorf("%s %s: the page has a script that was asked for", test.method, test.path)
		}
		if w.Header.Get("X-Content-Type-Options") != "nosniff" && w.StatusCode != 308 {
			t.Errorf("%s %s may be sniffed", test.method, test.path)
		}
		if strings.HasPrefix(w.Header.Get("Content-Type"), "text/html") && w.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s %s has no policy", test.method, test.path)
		}
		if w.StatusCode >= 400 && w.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: an error may be stored", test.method, test.path)
		}
		if w.StatusCode == 405 && w.Header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", test.method, test.path)
		}
	}
}

// TestLongQueries: what is typed is on a page again, in several places, and must not make it heavy or no text.
func TestLongQueries(t *testing.T) {
	h := New(Options{})
	for _, path := range []string{"/?q=%s", "/?class=%s", "/?q=zzz&class=%s", "/%s", "/%s9"} {
		for _, typed := range []string{strings.Repeat("x", 9000), strings.Repeat("%C3%A9", 3000), strings.Repeat("%FF%00", 1000), strings.Repeat("9", 9000)} {
			w, body := ask(t, h, "GET", strings.ReplaceAll(path, "%s", typed))
			if w.StatusCode >= 500 || strings.Count(body, typed[:1]) > 4000 || strings.Count(body, "é") > 2000 || !utf8.ValidString(body) {
				t.Errorf("%s with %.6s...: %d, %d bytes, text: %v", path, typed, w.StatusCode, len(body), utf8.ValidString(body))
			}
		}
	}
}

// TestBasePath: below a path of a site everything works as at its root.
func TestBasePath(t *testing.T) {
	for _, base := range []string{"/guide", "guide/", "/guide/"} {
		h := New(Options{BasePath: base})
		for path, want := range map[string]struct {
			status   int
			location string
		}{
			"/guide/": {200, ""}, "/guide/421": {200, ""}, "/guide": {308, "/guide/"}, "/guide/421/": {308, "/guide/421"},
			"/421": {404, ""}, "/": {404, ""}, "/guidebook": {404, ""}, "/guide/try/302": {302, "/guide/302"}, "/guide/api/codes/421": {200, ""},
		} {
			w, _ := ask(t, h, "GET", path)
			if w.StatusCode != want.status || w.Header.Get("Location") != want.location {
				t.Errorf("%s: %s: %d to %q, want %d to %q", base, path, w.StatusCode, w.Header.Get("Location"), want.status, want.location)
			}
		}
	}
}

// TestConditional: what has not changed is not sent again, parts are parts, and HEAD is GET without content.
func TestConditional(t *testing.T) {
	h := New(Options{})
	for _, path := range []string{"/", "/?q=etag", "/421", "/style.css", "/api/codes", "/api/codes/421"} {
		w, body := ask(t, h, "GET", path)
		tag := w.Header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) || w.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: ETag %s, Cache-Control %s", path, tag, w.Header.Get("Cache-Control"))
		}
		for _, test := range []struct {
			method string
			fields []string
			status int
			body   string
		}{
			{"HEAD", nil, 200, ""},
			{"GET", []string{"If-None-Match", tag}, 304, ""},
			{"GET", []string{"If-None-Match", `"x", W/` + tag}, 304, ""},
			{"GET", []string{"If-None-Match", "*"}, 304, ""},
			{"GET", []string{"If-None-Match", `"other"`}, 200, body},
			{"GET", []string{"If-Match", `"other"`}, 412, ""},
			{"GET", []string{"If-Match", tag}, 200, body},
			{"GET", []string{"Range", "bytes=0-9"}, 206, body[:10]},
			{"GET", []string{"Range", "bytes=-5"}, 206, body[len(body)-5:]},
			{"GET", []string{"Range", "bytes=0-9", "If-Range", tag}, 206, body[:10]},
			{"GET", []string{"Range", "bytes=0-9", "If-Range", `"old"`}, 200, body},
			{"HEAD", []string{"If-None-Match", tag}, 304, ""},
		} {
			w, got := ask(t, h, test.method, path, test.fields...)
			if w.StatusCode != test.status || got != test.body {
				t.Errorf("%s %s %q: %d, want %d\n%.200s", test.method, path, test.fields, w.StatusCode, test.status, got)
			}
			if test.method == "HEAD" && test.status == 200 && w.ContentLength != int64(len(body)) {
				t.Errorf("HEAD %s: length %d, want %d", path, w.ContentLength, len(body))
			}
		}
		w, _ = ask(t, h, "GET", path, "Range", "bytes=9999999-")
		if w.StatusCode != 416 || !strings.HasPrefix(w.Header.Get("Content-Range"), "bytes */") {
			t.Errorf("%s: a range behind the end: %d, %q", path, w.StatusCode, w.Header.Get("Content-Range"))
		}
	}
}

// TestHead: no handler relies on the server below it to leave out content, and the fields are those of GET.
func TestHead(t *testing.T) {
	h := New(Options{})
	paths := []string{"/", "/421", "/419", "/a/b", "/style.css", "/api/codes/421", "/api/codes/x", "/try/x"}
	for _, c := range statuscode.All() {
		paths = append(paths, fmt.Sprintf("/try/%d", c.Number))
	}
	for _, path := range paths {
		get, head := httptest.NewRecorder(), httptest.NewRecorder()
		h.ServeHTTP(get, httptest.NewRequest("GET", path, nil))
		h.ServeHTTP(head, httptest.NewRequest("HEAD", path, nil))
		if head.Body.Len() != 0 || head.Code != get.Code || !reflect.DeepEqual(head.Header(), get.Header()) {
			t.Errorf("%s: HEAD: %d, %d bytes, %v; GET: %d, %v", path, head.Code, head.Body.Len(), head.Header(), get.Code, get.Header())
		}
		if n := get.Header().Get("Content-Length"); n != "" && n != fmt.Sprint(get.Body.Len()) || n == "" && get.Body.Len() > 0 {
			t.Errorf("%s: length %q for %d bytes", path, n, get.Body.Len())
		}
	}
	reset := httptest.NewRecorder()
	h.ServeHTTP(reset, httptest.NewRequest("GET", "/try/205", nil))
	if reset.Header().Get("Content-Length") != "0" {
		t.Error("205 leaves its length open")
	}
}

// TestAPI: programs get what `usher status --json` writes.
func TestAPI(t *testing.T) {
	h := New(Options{})
	for _, c := range statuscode.All() {
		w, body := ask(t, h, "GET", fmt.Sprintf("/api/codes/%d", c.Number))
		var o statuscode.Object
		d := json.NewDecoder(strings.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil || !reflect.DeepEqual(o, c.Object()) || w.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d: %v, %s", c.Number, err, w.Header.Get("Content-Type"))
		}
	}
	_, body := ask(t, h, "GET", "/api/codes?q=misdriected")
	var l listObject
	if err := json.Unmarshal([]byte(body), &l); err != nil || len(l.Codes) != 1 || l.Codes[0] != statuscode.Lookup(421).Brief() {
		t.Errorf("%v, %+v", err, l)
	}
}

// TestProblem: errors of the API are problem details.
func TestProblem(t *testing.T) {
	w, body := ask(t, New(Options{}), "GET", "/api/codes/419")
	var p struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != 404 || p.Title != "Not Found" || p.Detail == "" ||
		w.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%v, %+v, %s", err, p, w.Header.Get("Content-Type"))
	}
}

// FuzzPaths: whatever is asked for is answered, never with a fault of the server, and never with markup that was asked for.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{"/", "/421", "/try/204", "/api/codes/421", "/?q=<b>", "/%2e%2e/", "/\x00", "/try/100", "/watch"} {
		f.Add("GET", s, "q", "x")
	}
	h := New(Options{})
	f.Fuzz(func(t *testing.T, method, path, query, class string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL.Path = method, path
		q := r.URL.Query()
		q.Set("q", query)
		q.Set("class", class)
		r.URL.RawQuery = q.Encode()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 && !strings.HasPrefix(path, "/try/") {
			t.Fatalf("%q %q: %d", method, path, w.Code)
		}
		if s := w.Body.String(); strings.Contains(s, "<xss") {
			t.Fatalf("%q: %s", path, s)
		}
	})
}
