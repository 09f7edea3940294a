package http1

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// FuzzRequest compares our parser with net/http's: what we take, it takes, with the same meaning. Where we are stricter, that is as it
// should be.
func FuzzRequest(f *testing.F) {
	for _, test := range badRequests {
		f.Add(test.text)
	}
	for _, text := range []string{
		"GET /a?b HTTP/1.1\r\nHost: a.test\r\nX: y\r\nx: z\r\nCookie: a\r\nCookie: b\r\n\r\n",
		"POST http://b.test/c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\nTE: trailers\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, a b,, host\r\nConnection: x\r\nTrailer: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTrailer: content-length\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var scan Scan
		n, err := scan.End([]byte(text))
		if n == 0 || err != nil {
			return
		}
		ours, p, status := parse(text[:n])
		if status != 0 {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text[:n])))
		if err != nil {
			if foreign(err) {
				return
			}
			t.Fatalf("net/http refuses it: %v; we say %+v", err, ours)
		}
		compare(t, &ours, &p, theirs)
	})
}

// foreign says that net/http refuses a URL, which here is somebody else's to judge.
func foreign(err error) bool {
	text := err.Error()
	return strings.Contains(text, "parse ") || strings.Contains(text, "invalid URL")
}

func compare(t *testing.T, ours *message.Request, p *Request, theirs *http.Request) {
	if ours.Method != theirs.Method || ours.Major != theirs.ProtoMajor || ours.Minor != min(1, theirs.ProtoMinor) || ours.Length != theirs.ContentLength {
		t.Errorf("we: %+v\nnet/http: %+v", ours, theirs)
	}
	switch {
	case ours.Method == "CONNECT":
	case ours.Scheme == "":
		if ours.Target != theirs.RequestURI || ours.Authority != theirs.Host {
			t.Errorf("we: %q at %q\nnet/http: %q at %q", ours.Target, ours.Authority, theirs.RequestURI, theirs.Host)
		}
	case ours.Authority != "" && !strings.ContainsAny(ours.Authority, "@%"):
		if ours.Authority != theirs.URL.Host || !strings.EqualFold(ours.Scheme, theirs.URL.Scheme) || theirs.Host != theirs.URL.Host {
			t.Errorf("we: %q at %q\nnet/http: %q", ours.Scheme, ours.Authority, theirs.URL)
		}
		path, _, _ := strings.Cut(ours.Target, "?")
		if path, err := url.PathUnescape(path); err == nil && theirs.URL.Path != path && (path != "/" || theirs.URL.Path != "") {
			t.Errorf("we: %q\nnet/http: %q", ours.Target, theirs.URL)
		}
	}
	// It reports what an HTTP/1.0 client that says both wants in another way.
	if both := listed(strings.Join(theirs.Header["Connection"], ","), "keep-alive"); ours.Minor == 1 && p.Persistent == theirs.Close && !both {
		t.Errorf("persistent %v, net/http closes %v", p.Persistent, theirs.Close)
	}
	for _, f := range ours.Fields {
		want := theirs.Header[http.CanonicalHeaderKey(f.Name)]
		switch f.Name {
		case "cookie":
			want = []string{strings.Join(want, "; ")}
		case "te":
			want = []string{"trailers"}
		case "trailer": // it is in theirs.Trailer, as names, where chunks follow
			want = theirsAnnounced(theirs, ours.Fields)
		}
		if got := ours.Fields.Values(f.Name); !slices.Equal(got, want) {
			t.Errorf("%s: we %q, net/http %q", f.Name, got, want)
		}
	}
	for name := range theirs.Header {
		lower := strings.ToLower(name)
		if lower == "content-length" || message.HopByHop(lower) || lower == "trailer" && ours.Length >= 0 || listed(strings.Join(theirs.Header["Connection"], ","), lower) {
			continue
		}
		if !ours.Fields.Has(lower) {
			t.Errorf("net/http alone has %s", name)
		}
	}
}

// FuzzChunks compares our decoder with net/http's, and has the same come of a body however it is cut.
func FuzzChunks(f *testing.F) {
	for _, text := range []string{
		"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", "0\r\nA: b\r\nContent-Length: 5\r\n\r\nGET ", "1;a=\"\\\"x\"\r\nx\r\n0;e\r\n\r\n", "1\r\nx\n0\r\n\r\n",
		"ffffffffffffffff\r\n", "1\r\nx\r0\r\n\r\n", "00A\r\n0123456789\r\n0\r\nA : b\r\n\r\n", "1 \r\nx\r\n0\r\n\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := decode(text, len(text)+1)
		if pieces := decode(text, 1); pieces.content != whole.content || pieces.status != whole.status || pieces.rest != whole.rest || !slices.Equal(pieces.trailers, whole.trailers) {
			t.Fatalf("whole: %+v, in pieces: %+v", whole, pieces)
		}
		if whole.status != 0 {
			return
		}
		in := bufio.NewReaderSize(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+text), 1<<20)
		theirs, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(theirs.Body)
		if err != nil || string(content) != whole.content {
			t.Fatalf("we: %q\nnet/http: %q, %v", whole.content, content, err)
		}
		if rest, _ := io.ReadAll(in); len(rest) != whole.rest {
			t.Errorf("we leave %d bytes, net/http %q", whole.rest, rest)
		}
		for _, field := range whole.trailers {
			if got := theirs.Trailer[http.CanonicalHeaderKey(field.Name)]; !slices.Equal(got, whole.trailers.Values(field.Name)) {
				t.Errorf("%s: we %q, net/http %q", field.Name, whole.trailers.Values(field.Name), got)
			}
		}
	})
}

// theirsAnnounced checks that net/http has been told of the trailers that we have been told of. It returns what we have.
func theirsAnnounced(theirs *http.Request, ours message.Fields) []string {
	for name := range ours.Tokens("trailer") {
		if _, ok := theirs.Trailer[http.CanonicalHeaderKey(name)]; !ok && message.ValidName(name) {
			return slices.Sorted(maps.Keys(theirs.Trailer))
		}
	}
	return ours.Values("trailer")
}
