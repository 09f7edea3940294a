package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// askPlain queues a request by the scheme http.
func (c *wire) askPlain(method, scheme, host, path string) uint32 {
	id := c.next
	c.next += 2
	c.headers(id, true, ":method", method, ":scheme", scheme, ":authority", host, ":path", path)
	return id
}

// RFC 9113 section 3.3: "A client that has prior knowledge of the server's support for HTTP/2 sends the connection preface (Section 3.4)
// and can then immediately send HTTP/2 frames to such a server."
func TestH2InPlaintext(t *testing.T) {
	g := newGate(t)
	d := drive(t, mixed(g.URL), "plain")
	c := newWire(t, d.dial(t))
	tests := []struct{ scheme, host, path, status, text string }{
		{"http", "a.test.example", "/quick", "200", "/quick"},
		{"http", "a.test.example", "/fixed", "200", "fixed\n"},
		{"http", "b.test.example", "/b", "308", ""}, // a redirect to https
		{"https", "a.test.example", "/fixed", "421", ""},
		{"https", "b.test.example", "/b", "421", ""},
		{"http", "nobody.test.example", "/", "421", ""},
	}
	var ids []uint32
	for _, test := range tests {
		ids = append(ids, c.askPlain("GET", test.scheme, test.host, test.path))
	}
	c.flush()
	for i, test := range tests {
		h := c.want(ids[i], test.status, test.text)
		if alt := h.value("alt-svc"); alt != "" {
			t.Errorf("%+v: Alt-Svc %q", test, alt)
		}
		if got, want := h.value("location"), map[string]string{"308": "https://b.test.example/b"}[test.status]; got != want {
			t.Errorf("%+v: Location %q", test, got)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.order[0] != "SETTINGS 0" || c.order[1] == "ORIGIN 0" {
		t.Errorf("frames %v: no origin is known of a connection without TLS", c.order)
	}
	d.wantMetric(t, 1, "usher_connections", "listener=plain", "proto=h2")
}

func TestH2PrefaceInPieces(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)), "plain")
	for _, size := range []int{1, 7, 23} {
		nc := d.dial(t)
		first := preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // an empty SETTINGS
		for first != "" {
			n := min(size, len(first))
			io.WriteString(nc, first[:n])
			first = first[n:]
		}
		in := http2.NewFramer(nc, nc)
		if f, err := in.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
			t.Errorf("in pieces of %d: %v, %v", size, f, err)
		}
	}
}

// What cannot become the preface is HTTP/1.1's, whole.
func TestH2WhatIsNotThePreface(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)), "plain")
	for _, test := range []struct {
		sent   []string
		status int
	}{
		{[]string{"GET /fixed HTTP/1.1\r\nHost: a.test.example\r\n\r\n"}, 200},
		{[]string{"P", "UT /fixed HTTP/1.1\r\nHost: a.test.example\r\nContent-Length: 0\r\n\r\n"}, 200},
		{[]string{"PRI", " /fixed HTTP/1.1\r\nHost: a.test.example\r\n\r\n"}, 200}, // a method like others
		{[]string{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"}, 400},
		{[]string{"PRI * HTTP/2.0\r\n\r", "GET / HTTP/1.1\r\n\r\n"}, 400},
		{[]string{"PRI * HTTP/1.1\r\nHost: a.test.example\r\n\r\n"}, 400}, // "*" is for OPTIONS alone (RFC 9112 section 3.2.4)
	} {
		nc := d.dial(t)
		for _, piece := range test.sent {
			io.WriteString(nc, piece)
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Errorf("%q: %v", test.sent, err)
			continue
		}
		if res.StatusCode != test.status {
			t.Errorf("%q: status %d, want %d", test.sent, res.StatusCode, test.status)
		}
	}
}

// The preface has the time of a header section, and whoever says nothing at all has, too.
func TestH2PrefaceThatStops(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t))+"timeouts: {header: 200ms}\n", "plain")
	for _, first := range []string{"", "P", preface[:20]} {
		nc := d.dial(t)
		io.WriteString(nc, first)
		if text, err := io.ReadAll(nc); err != nil || strings.Contains(fmt.Sprintf("%q", text), "200 OK") {
			t.Errorf("%q: %q, %v", first, text, err)
		}
	}
	d.wantNothingLeft(t)
}

// Over TLS the protocol is ALPN's to say.
func TestH2PrefaceOfSomethingElse(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)))
	nc := d.secured(t)
	io.WriteString(nc, "GET /fixed HTTP/1.1\r\nHost: a.test.example\r\n\r\n")
	text, _ := io.ReadAll(nc)
	// "Clients and servers MUST treat an invalid connection preface as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
	if at := len(text) - 17; at < 0 || text[at+3] != byte(http2.FrameGoAway) || text[at+16] != byte(http2.ErrCodeProtocol) {
		t.Errorf("got % x", text)
	}
}
