package h3_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/rawh3"
)

// TestRefusalOnTheWire: what a 421 may carry. "An endpoint MUST NOT generate an HTTP/3 field section containing
// connection-specific fields" (RFC 9114 section 4.2); "A client MUST NOT use [Alt-Svc] in a 421" is why none is sent (RFC 7838
// section 6).
func TestRefusalOnTheWire(t *testing.T) {
	w := newWorld(t).serve(t)
	admin := w.withCert(t, "admin.example")
	for _, test := range []struct {
		name, sni, host string
		before          func()
	}{
		{"another host", "open.example", "admin.example", func() {}},
		{"the host of the connection", "open.example", "open.example", func() {
			// The rules change under the connection: its own host now wants a client certificate.
			config := w.config
			config.Sites = append(config.Sites[:0:0], config.Sites...)
			config.Sites[0].ClientAuth, config.Sites[0].ClientCAs = config.Sites[1].ClientAuth, config.Sites[1].ClientCAs
			if err := w.guard.Replace(config); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.dial(t, w.tls(test.sni))
			wantStatus(t, c, test.sni, 200)
			test.before()
			for _, method := range []string{"GET", "HEAD", "POST"} {
				if method != "GET" && test.sni == test.host {
					continue // the first refusal ends the connection
				}
				res := do(t, c, rawh3.Request(method, "https", test.host, "/secret?token=1"))
				if res.Status != 421 || len(res.Values("cache-control")) != 1 || res.Values("cache-control")[0] != "no-store" {
					t.Errorf("%s: %v", method, res.Fields)
				}
				for _, f := range res.Fields {
					switch f[0] {
					case ":status", "cache-control", "content-type", "content-length", "x-content-type-options", "date":
					default:
						t.Errorf("%s: field %q", method, f)
					}
				}
				if strings.Contains(string(res.Body), "secret") || strings.Contains(string(res.Body), "example") {
					t.Errorf("%s: the body echoes the request: %q", method, res.Body)
				}
				if (len(res.Body) == 0) != (method == "HEAD") {
					t.Errorf("%s: body of %d bytes", method, len(res.Body))
				}
			}
			if test.sni == test.host {
				wantGoAway(t, c)
				return
			}
			wantStatus(t, c, test.sni, 200)
			wantOpen(t, c)
		})
	}
	// A new connection under the new rules.
	wantStatus(t, w.dial(t, admin), "admin.example", 200)
}

// TestHTTPClient: quic-go's own client, which refuses connection-specific fields in responses, gets a refusal, ends the
// connection after GOAWAY, and is served on a new one.
func TestHTTPClient(t *testing.T) {
	w := newWorld(t).serve(t)
	transport := &http3.Transport{TLSClientConfig: w.tls("solo.example")}
	defer transport.Close()
	client := &http.Client{Transport: transport, Timeout: patience}
	post := func(path string) *http.Response {
		req, err := http.NewRequest("POST", "https://"+w.addr+path, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "solo.example"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	if res := post("/"); res.StatusCode != 200 || res.Header.Get("Alt-Svc") == "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	// The host moves to another site, so the connection was made for one that it no longer belongs to.
	config := w.config
	config.Sites = append(config.Sites[:0:0], config.Sites...)
	config.Sites[3].Name = "moved"
	if err := w.guard.Replace(config); err != nil {
		t.Fatal(err)
	}
	if res := post("/"); res.StatusCode != 421 || res.Header.Get("Alt-Svc") != "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	for deadline := time.Now().Add(patience); ; {
		res := post("/")
		if res.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s: the client did not leave the connection", res.Status)
		}
	}
}

// TestReplace: connections are judged by the rules of now against what their own handshake proved.
func TestReplace(t *testing.T) {
	w := newWorld(t).serve(t)
	c := w.dial(t, w.tls("open.example"))
	wantStatus(t, c, "second.example", 200)
	config := w.config
	config.Sites = append(config.Sites[:0:0], config.Sites...)
	config.Sites[0].Hosts = []string{"open.example"}
	if err := w.guard.Replace(config); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, c, "second.example", 421)
	wantStatus(t, c, "open.example", 200)
	// With the client authentication of a connection of its own, the new rule is passed.
	if err := w.guard.Replace(w.config); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, c, "second.example", 200)
}

// TestReset: a client that gives a request up does not keep its connection from ending.
func TestReset(t *testing.T) {
	w := newWorld(t)
	begun := make(chan struct{})
	w.server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	ctx, cancel := context.WithCancel(t.Context())
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Headers(rawh3.Get("open.example", "/")); err != nil {
		t.Fatal(err)
	}
	<-begun
	cancel()
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}
