package gateway

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-http/usher/statuscode"
)

// TestGuideTriesFields: what a status is not complete without comes through to the client in every protocol, and nothing comes that the
// protocol or the status forbids.
func TestGuideTriesFields(t *testing.T) {
	r := newFolder(t).start(t, `
listeners:
  - {name: tls, address: "127.0.0.1:0"}
  - {name: plain, address: "127.0.0.1:0", scheme: http}
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    http: serve
    routes: [{path: /status, guide: true}]
`)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			try := func(code string) answer { return c.get(t, "a.test.example", "/status/try/"+code) }

			for _, code := range statuscode.All() {
				a, want := try(strconv.Itoa(code.Number)), code.Number
				switch {
				case want == http.StatusSwitchingProtocols:
					want = http.StatusNotImplemented
				case want < 200:
					want = http.StatusOK
				}
				if a.StatusCode != want || (a.text == "") == (code.Content() || !code.Final()) {
					t.Errorf("%d: %d with %q", code.Number, a.StatusCode, a.text)
				}
			}

			// RFC 9110 section 15.5.22: "The server MUST send an Upgrade header field in a 426 response". RFC 9113 section 8.2.2: "An
			// endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields"; RFC 9114 section 4.2 says the same.
			a := try("426")
			if proto == "h1" {
				if a.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(a.Header.Get("Connection"), "upgrade") || a.Close {
					t.Errorf("426: %v", a.Header)
				}
			} else if a.Header["Upgrade"] != nil || a.Header["Connection"] != nil || !strings.Contains(a.text, "no Upgrade") {
				t.Errorf("426: %v %q", a.Header, a.text)
			}
			a.want(t, 426, "426 Upgrade Required")

			// Section 15.5.8: "The proxy MUST send a Proxy-Authenticate header field".
			if a := try("407"); a.StatusCode != 407 || a.Header.Get("Proxy-Authenticate") == "" {
				t.Errorf("407: %d %v", a.StatusCode, a.Header)
			}
			// RFC 7838 section 6: "An Alt-Svc header field in a 421 ... MUST be ignored."
			if a := try("421"); a.StatusCode != 421 || a.Header["Alt-Svc"] != nil {
				t.Errorf("421: %d %v", a.StatusCode, a.Header)
			}
			if a := try("404"); (a.Header["Alt-Svc"] != nil) != (proto != "h3") {
				t.Errorf("404: %v", a.Header)
			}
		})
	}
	t.Run("HTTP/1.0", func(t *testing.T) {
		w := r.wire1(t)
		w.say("GET /status/try/426 HTTP/1.0\r\nHOST\r\n")
		text, err := io.ReadAll(w)
		head, _, _ := strings.Cut(string(text), "\r\n\r\n")
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 426 ") || !strings.Contains(head, "\r\nUpgrade: websocket\r\n") ||
			!strings.HasSuffix(head, "\r\nConnection: Upgrade, close") {
			t.Errorf("%v\n%s", err, head)
		}
	})
}
