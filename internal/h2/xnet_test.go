//lint:file-ignore SA1019 x/net's server is what is compared with, by its own API: net/http's would need TLS.

package h2

import (
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

// playXNet runs a script against x/net's server. In a synctest bubble it is known when everybody has said all there is to say.
func playXNet(t *testing.T, wire []byte) (got string) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			base := &http.Server{ErrorLog: log.New(io.Discard, "", 0)}
			srv := &http2.Server{}
			http2.ConfigureServer(base, srv) // else servers share channels, which a bubble does not allow
			srv.ServeConn(server, &http2.ServeConnOpts{BaseConfig: base, Handler: http.HandlerFunc(answerWhole)})
		}()
		var o outcome
		read := make(chan struct{})
		go func() {
			defer close(read)
			o.read(client)
		}()
		go client.Write(wire)
		synctest.Wait()
		client.Close()
		server.Close()
		<-read
		<-served
		got = o.String()
	})
	return got
}

// answerWhole answers as plainHandler does.
func answerWhole(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(200)
}

// TestAgainstXNet compares what the cases mean to x/net's server. Where they mean something else, the case says why.
func TestAgainstXNet(t *testing.T) {
	for table, cases := range allCases() {
		for _, tc := range cases {
			t.Run(table+"/"+tc.name, func(t *testing.T) {
				want := tc.want
				if tc.why != "" {
					want = tc.theirs
				}
				if got := playXNet(t, tc.wire()); !slices.Contains(strings.Split(want, "|"), got) {
					t.Errorf("x/net: %q, want %q; ours: %q", got, want, tc.want)
				}
			})
		}
	}
}

// TestEveryByte puts every byte into the middle of every part of a request, and compares what that means.
func TestEveryByte(t *testing.T) {
	for _, part := range []struct {
		name   string
		fields func(s string) []string
		differ func(c byte) bool
	}{
		{name: "name", fields: func(s string) []string { return get("x"+s+"y", "1") }},
		{name: "value", fields: func(s string) []string { return get("x", "a"+s+"b") }},
		{name: "path", fields: func(s string) []string {
			return []string{":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/a" + s + "b"}
		}, differ: func(c byte) bool { return c == ' ' || c == '\t' || c == '%' }}, // x/net decodes the path, and lets blanks pass
		{name: "method", fields: func(s string) []string {
			return []string{":method", "G" + s + "T", ":scheme", "https", ":authority", "a", ":path", "/"}
		}, differ: func(c byte) bool { return c >= ' ' && c != 0x7f && !message.ValidToken(string(c)) || c == '\t' }}, // x/net takes any
		{name: "scheme", fields: func(s string) []string {
			return []string{":method", "GET", ":scheme", "h" + s + "p", ":authority", "a", ":path", "/"}
		}, differ: func(c byte) bool { return validScheme("h" + string(c) + "p") }}, // the guard answers other schemes
		{name: "authority", fields: func(s string) []string {
			return []string{":method", "GET", ":scheme", "https", ":authority", "a" + s + "b", ":path", "/"}
		}, differ: func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }}, // the guard judges authorities
	} {
		t.Run(part.name, func(t *testing.T) {
			for c := range 256 {
				s := newScript()
				s.hello()
				s.ask(1, part.fields(string([]byte{byte(c)}))...)
				ours, theirs := play(s.Bytes(), 0), playXNet(t, s.Bytes())
				if differ := part.differ != nil && part.differ(byte(c)); !differ && ours != theirs {
					t.Errorf("byte 0x%02x: %s, x/net: %s", c, ours, theirs)
				}
			}
		})
	}
}
