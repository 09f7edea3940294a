package gateway

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
)

// An upload is content behind which trailers come.
type upload struct {
	io.Reader
	trailers http.Header
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err == io.EOF {
		for name := range u.trailers {
			u.trailers.Set(name, "1")
		}
	}
	return n, err
}

func (u *upload) Close() error { return nil }

// announced are the names of trailers, as net/http tells them before the content is read.
func announced(h http.Header) string { return strings.Join(slices.Sorted(maps.Keys(h)), " ") }

// trailing is an upstream that says what it saw, the last of it in a trailer of its own.
func trailing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Seen")
	w.Header().Set("X-Announced", announced(r.Trailer))
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	text, err := io.ReadAll(r.Body)
	http.NewResponseController(w).Flush()
	fmt.Fprintf(w, "%s %v", text, err)
	w.Header().Set("X-Seen", fmt.Sprint(r.Trailer))
}

// overHTTP2 is a site whose requests all go to an upstream that offers HTTP/2.
func (f *folder) overHTTP2(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	inside := testca.New(t)
	inside.WriteRoot(t, f.dir, "inside")
	up := httptest.NewUnstartedServer(h)
	up.TLS = &tls.Config{Certificates: []tls.Certificate{inside.Server(t, "backend.internal")}}
	up.EnableHTTP2 = true
	up.StartTLS()
	t.Cleanup(up.Close)
	return upstreamOf(fmt.Sprintf("{urls: [%q], sni: backend.internal, ca: inside.pem}", up.URL))
}

// RFC 9110 section 6.6.2: "If a sender intends to generate one or more trailer fields in a message, the sender SHOULD generate a Trailer
// header field in the header section of that message to indicate which fields might be present in the trailers." net/http shows
// trailers of requests over HTTP/2 to those alone who were told so. What is for gateways to say is not announced either.
func TestTrailersAreAnnounced(t *testing.T) {
	f := newFolder(t)
	for up, text := range map[string]string{"h1": upstreamOf(newUpstreamServer(t, trailing).URL), "h2": f.overHTTP2(t, trailing)} {
		r := f.start(t, text)
		for _, proto := range protocols {
			for _, length := range []int64{-1, 5} {
				if proto == "h1" && length > 0 {
					continue // there is no place for them
				}
				t.Run(fmt.Sprintf("%s to %s, length %d", proto, up, length), func(t *testing.T) {
					c := r.client(t, proto, "tls", "a.test.example")
					u := &upload{strings.NewReader("hello"), http.Header{"X-Sum": nil, "X-More": nil, "X-Forwarded-For": nil, "Client-Cert": nil}}
					req := c.request(t, "POST", "a.test.example", "/", u)
					req.ContentLength, req.Trailer = length, u.trailers
					res, err := c.http.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer res.Body.Close()
					if got := announced(res.Trailer); got != "X-Seen" {
						t.Errorf("the client was told of %q", got)
					}
					text, err := io.ReadAll(res.Body)
					if res.StatusCode != 200 || string(text) != "hello <nil>" || err != nil {
						t.Fatalf("%d %q, %v", res.StatusCode, text, err)
					}
					if got := res.Header.Get("X-Announced"); got != "X-More X-Sum" {
						t.Errorf("the upstream was told of %q", got)
					}
					if got, want := res.Trailer.Get("X-Seen"), "map[X-More:[1] X-Sum:[1]]"; got != want {
						t.Errorf("the upstream saw %q, want %q", got, want)
					}
					want := "-1" // in HTTP/1.1 either the length is said or there are trailers
					if up == "h2" {
						want = fmt.Sprint(length)
					}
					if got := res.Header.Get("X-Length"); got != want {
						t.Errorf("the upstream was told of %s bytes, want %s", got, want)
					}
				})
			}
		}
	}
}

// Trailers come behind no content too, also where an upstream of HTTP/2 says that its length is 0 (RFC 9113 section 8.1), and whether it has
// announced them or not.
func TestTrailersBehindNothing(t *testing.T) {
	f := newFolder(t)
	r := f.start(t, f.overHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "0")
		name := "X-Sum"
		switch r.URL.Path {
		case "/announced":
			w.Header().Set("Trailer", name)
		case "/not":
			name = http.TrailerPrefix + name
		default:
			return
		}
		w.WriteHeader(200)
		w.Header().Set(name, "1")
	}))
	for proto, want := range map[string]string{"h1": "", "h2": "1", "h3": "1"} { // HTTP/1.1 has no place for them there
		c := r.client(t, proto, "tls", "a.test.example")
		for path, want := range map[string]string{"/announced": want, "/not": want, "/none": ""} {
			for range 2 {
				got := c.get(t, "a.test.example", path).want(t, 200, "")
				if got.text != "" || got.Trailer.Get("X-Sum") != want || got.Header.Get("Trailer") != "" {
					t.Errorf("%s, %s: %q, trailers %v, announced %q", proto, path, got.text, got.Trailer, got.Header.Get("Trailer"))
				}
			}
		}
	}
}

// What cannot come is not announced, to whomever; and who announces a trailer has said nothing about header fields of that name.
func TestWhatIsAnnouncedToClients(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, test := range map[string]struct{ said, announced, trailers, up string }{
		"what may": {ok + "Trailer: X-Sum, content-type, Alt-Svc, x y, ,X-Hop\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nX-Hop: 2\r\nAlt-Svc: x\r\n\r\n",
			"X-Sum", "map[X-Sum:[1]]", ""},
		"a field of that name": {ok + "Trailer: X-Sum, X-Up\r\nX-Up: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nX-Up: 2\r\n\r\n",
			"X-Sum", "map[X-Sum:[1] X-Up:[2]]", "1"},
		"by length": {ok + "Trailer: X-Sum\r\nContent-Length: 5\r\n\r\nhello", "", "map[]", ""},
		"none left": {ok + "Trailer: host\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", "map[]", ""},
	} {
		r := newFolder(t).start(t, upstreamOf(said(t, test.said)))
		for _, proto := range protocols {
			t.Run(proto+"/"+name, func(t *testing.T) {
				c := r.client(t, proto, "tls", "a.test.example")
				res, err := c.http.Do(c.request(t, "GET", "a.test.example", "/", nil))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				want := test.announced
				if proto != "h3" && test.up != "" {
					want += " X-Up" // over HTTP/3 quic-go would take it for no field then
				}
				if got := announced(res.Trailer); got != want {
					t.Errorf("announced %q, want %q", got, want)
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					t.Error(err)
				}
				if got := fmt.Sprint(res.Trailer); got != test.trailers {
					t.Errorf("trailers %s, want %s", got, test.trailers)
				}
				if got := res.Header.Get("X-Up"); got != test.up {
					t.Errorf("X-Up is %q, want %q", got, test.up)
				}
			})
		}
	}
}
