package web

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"net/http/httptest"

	"github.com/usher-http/usher/statuscode"
)

// TestTry asks for every code with several methods: the status is that one, content is there just where it may be, and interim
// ones come before a 200.
func TestTry(t *testing.T) {
	srv := httptest.NewServer(New(Options{}))
	defer srv.Close()
	for _, c := range statuscode.All() {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			var interim []int
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				interim = append(interim, code)
				if code == 103 && h.Get("Link") == "" {
					t.Error("103 without Link")
				}
				return nil
			}})
			r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s/try/%d", srv.URL, c.Number), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Upload-Draft-Interop-Version", uploadDraft)
			w, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s %d: %v", method, c.Number, err)
			}
			body := make([]byte, 10_000)
			n, _ := w.Body.Read(body)
			w.Body.Close()
			want, before := c.Number, []int(nil)
			switch {
			case c.Number == 101:
				want = 501
			case !c.Final():
				want, before = 200, []int{c.Number}
			}
			if w.StatusCode != want || !slices.Equal(interim, before) {
				t.Errorf("%s %d: %d after %v, want %d after %v", method, c.Number, w.StatusCode, interim, want, before)
			}
			if content := n > 0; content != (method != "HEAD" && (c.Content() || !c.Final())) {
				t.Errorf("%s %d: content %q", method, c.Number, body[:n])
			}
			if w.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %d may be stored", method, c.Number)
			}
			for _, f := range fieldsOf[c.Number] {
				if _, ok := w.Header[http.CanonicalHeaderKey(f.name)]; c.Final() && !ok {
					t.Errorf("%d without %s", c.Number, f.name)
				}
			}
		}
	}
}

// TestTryFields: the fields without which RFC 9110 and others do not let a server send a status.
func TestTryFields(t *testing.T) {
	for code, want := range map[int]string{
		401: "WWW-Authenticate", // "A server generating a 401 response MUST send a WWW-Authenticate header field"
		405: "Allow",            // "The origin server MUST generate an Allow header field in a 405 response"
		407: "Proxy-Authenticate",
		426: "Upgrade", // "The server MUST send an Upgrade header field in a 426 response"
		206: "Content-Range",
		416: "Content-Range",
		301: "Location", 302: "Location", 303: "Location", 307: "Location", 308: "Location", 201: "Location",
		429: "Retry-After", 503: "Retry-After", 304: "ETag", 226: "IM", 451: "Link",
	} {
		w, _ := ask(t, New(Options{BasePath: "/g"}), "GET", fmt.Sprintf("/g/try/%d", code))
		if _, ok := w.Header[http.CanonicalHeaderKey(want)]; !ok {
			t.Errorf("%d without %s: %v", code, want, w.Header)
		}
		if l := w.Header.Get("Location"); l != "" {
			if next, _ := ask(t, New(Options{BasePath: "/g"}), "GET", l); next.StatusCode != 200 {
				t.Errorf("%d leads to %s, which is %d", code, l, next.StatusCode)
			}
		}
	}
	w, body := ask(t, New(Options{}), "GET", "/try/206")
	if want := fmt.Sprintf("bytes 0-%d/", len(body)-1); !strings.HasPrefix(w.Header.Get("Content-Range"), want) {
		t.Errorf("206: %q for %d bytes", w.Header.Get("Content-Range"), len(body))
	}
	if w, _ := ask(t, New(Options{}), "GET", "/try/205"); w.ContentLength != 0 {
		t.Errorf("205: length %d", w.ContentLength)
	}
	if w, _ := ask(t, New(Options{}), "GET", "/try/408"); !w.Close {
		t.Error("408 keeps the connection")
	}
}

// TestTryPart: what is asked for is what comes, so that clients which go on with a download can be tested.
func TestTryPart(t *testing.T) {
	h := New(Options{})
	_, half := ask(t, h, "GET", "/try/206")
	_, rest := ask(t, h, "GET", "/try/206", "Range", fmt.Sprintf("bytes=%d-", len(half)))
	whole := half + rest
	n := len(whole)
	if whole != story(statuscode.Lookup(206)) {
		t.Errorf("the parts make %q", whole)
	}
	for field, want := range map[string]string{
		"bytes=0-0": whole[:1], "bytes=5-9": whole[5:10], "bytes=-7": whole[n-7:], "bytes=-99999": whole, "bytes=3-99999": whole[3:],
		"bytes=9-5": half, "bytes=99999-": half, "bytes=-0": half, "bytes=-": half, "bytes=a-b": half, "bytes=0-1,4-5": half, "bytes=": half,
		"lines=0-1": half, "bytes=0-x": half, "bytes=+1-2": half, "bytes=-1-2": half, "0-1": half, "bytes=0-99999999999999999999": half,
	} {
		w, got := ask(t, h, "GET", "/try/206", "Range", field)
		if w.StatusCode != 206 || got != want || w.ContentLength != int64(len(want)) {
			t.Errorf("%q: %d %q, want %q", field, w.StatusCode, got, want)
		}
		first, last, length := 0, 0, 0
		if _, err := fmt.Sscanf(w.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &length); err != nil ||
			length != n || last >= n || whole[first:last+1] != got {
			t.Errorf("%q: %q for %q", field, w.Header.Get("Content-Range"), got)
		}
	}
}

// TestTryInterimFields: an interim answer has what belongs to it, and nothing of the final one.
func TestTryInterimFields(t *testing.T) {
	for _, c := range statuscode.Of(statuscode.Informational) {
		if c.Number == 101 {
			continue
		}
		w := &noted{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", fmt.Sprintf("/try/%d", c.Number), nil)
		r.Header.Set("Upload-Draft-Interop-Version", uploadDraft)
		New(Options{}).ServeHTTP(w, r)
		want := len(fieldsOf[c.Number])
		if locations[c.Number] != "" {
			want++
		}
		if len(w.sent) != 2 || len(w.sent[0]) != want {
			t.Errorf("%d: %v", c.Number, w.sent)
		}
		if last := w.sent[len(w.sent)-1]; last.Get("Cache-Control") != "no-store" || last.Get("X-Content-Type-Options") != "nosniff" || last.Get("Link") != "" || last.Get("Location") != "" {
			t.Errorf("after %d: %v", c.Number, last)
		}
	}
}

// TestTryDraft: "Server implementations of draft versions of the protocol MUST NOT send a 104 (Upload Resumption Supported) informational
// response when the interop version indicated by the Upload-Draft-Interop-Version header field in the request is missing or mismatching."
func TestTryDraft(t *testing.T) {
	for _, versions := range [][]string{nil, {""}, {"7"}, {"9"}, {"8.0"}, {"?1"}, {"8", "8"}} {
		w := &noted{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("POST", "/try/104", nil)
		r.Header["Upload-Draft-Interop-Version"] = versions
		New(Options{}).ServeHTTP(w, r)
		if len(w.sent) != 1 || w.Code != 200 || !strings.Contains(w.Body.String(), "Upload-Draft-Interop-Version: "+uploadDraft) {
			t.Errorf("%q: %d after %d responses: %s", versions, w.Code, len(w.sent), w.Body)
		}
	}
	w := &noted{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/try/104", nil)
	r.Header.Set("Upload-Draft-Interop-Version", " "+uploadDraft)
	New(Options{}).ServeHTTP(w, r)
	// "final responses including the Upload-Complete: ?1 header field are exempt" from having the Location of the interim one.
	if len(w.sent) != 2 || w.sent[0].Get("Location") == "" || w.sent[1].Get("Upload-Complete") != "?1" {
		t.Errorf("to a client of the draft: %v", w.sent)
	}
}

// noted keeps the fields of every header section.
type noted struct {
	*httptest.ResponseRecorder
	sent []http.Header
}

func (r *noted) WriteHeader(code int) {
	r.sent = append(r.sent, r.Header().Clone())
	if code >= 200 {
		r.ResponseRecorder.WriteHeader(code)
	}
}

// TestTryOld: a client of HTTP/1.0 gets no interim responses.
func TestTryOld(t *testing.T) {
	r := httptest.NewRequest("GET", "/try/103", nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0
	var codes []int
	w := &recorder{ResponseRecorder: httptest.NewRecorder(), codes: &codes}
	New(Options{}).ServeHTTP(w, r)
	if !slices.Equal(codes, []int{200}) {
		t.Errorf("HTTP/1.0 got %v", codes)
	}
}

// A recorder notes every status.
type recorder struct {
	*httptest.ResponseRecorder
	codes *[]int
}

func (r *recorder) WriteHeader(code int) {
	*r.codes = append(*r.codes, code)
	r.ResponseRecorder.WriteHeader(code)
}
