package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// "An HTTP-to-HTTP gateway MUST send an appropriate Via header field in each inbound request message" (RFC 9110 section 7.6.3), and "If the
// received value is zero (0), the intermediary MUST NOT forward the request; instead, the intermediary MUST respond to the request as the
// final recipient. If the received Max-Forwards value is greater than zero, the intermediary MUST generate an updated Max-Forwards field"
// (section 7.6.2), for TRACE and OPTIONS.
func TestHops(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "asked via "+strings.Join(r.Header.Values("Via"), ", ")+"; left "+strings.Join(r.Header.Values("Max-Forwards"), ","))
	})
	r := newFolder(t).start(t, proxied(up))
	version := map[string]string{"h1": "1.1", "h2": "2.0", "h3": "3.0"}
	for _, proto := range protocols {
		c := r.client(t, proto, "tls", "a.test.example")
		for _, test := range []struct {
			method, max string
			status      int
			left        string // not asked: "-"
		}{
			{"GET", "0", 200, "0"},
			{"OPTIONS", "0", 200, "-"},
			{"OPTIONS", "00", 200, "-"},
			{"OPTIONS", "1", 200, "0"},
			{"OPTIONS", "10", 200, "9"},
			{"OPTIONS", "99999999999999999999", 200, "2147483646"},
			{"OPTIONS", "-1", 200, "-1"},
			{"OPTIONS", "", 200, ""},
			{"TRACE", "0", 501, "-"},
			{"TRACE", "3", 200, "2"},
		} {
			req := c.request(t, test.method, "a.test.example", "/", nil)
			req.Header.Set("Via", "1.1 before")
			if test.max != "" {
				req.Header.Set("Max-Forwards", test.max)
			}
			a := c.do(t, req)
			want := "asked via 1.1 before, " + version[proto] + " usher; left " + test.left
			if test.left == "-" {
				want = ""
			}
			if a.StatusCode != test.status || test.status == 200 && a.text != want {
				t.Errorf("%s, %s with Max-Forwards %q: %d %q, want %d %q", proto, test.method, test.max, a.StatusCode, a.text, test.status, want)
			}
		}
	}
}

func TestVia(t *testing.T) {
	for want, r := range map[string]message.Request{"1.0 usher": {Major: 1}, "1.1 usher": {Major: 1, Minor: 1}, "2.0 usher": {Major: 2}, "3.0 usher": {Major: 3}} {
		if got := via(&r); got != (message.Field{Name: "via", Value: want}) {
			t.Errorf("%v, want %s", got, want)
		}
	}
}
