package gateway

import (
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

func TestGuideOnASite(t *testing.T) {
	r := newFolder(t).start(t, `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes:
      - {path: /status, guide: true}
      - {path: /, respond: {body: "home\n"}}
`)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			c.get(t, "a.test.example", "/status/").want(t, 200, "Misdirected Request")
			c.get(t, "a.test.example", "/status/421").want(t, 200, "coalesc")
			c.get(t, "a.test.example", "/status/api/codes/421").want(t, 200, `"code"`)
			c.get(t, "a.test.example", "/status/999").want(t, 404, "")
			c.get(t, "a.test.example", "/").want(t, 200, "home")
			if a := c.get(t, "a.test.example", "/status"); a.StatusCode != 308 || a.Header.Get("Location") != "/status/" {
				t.Errorf("/status: %d to %q", a.StatusCode, a.Header.Get("Location"))
			}
			for path, want := range map[string]int{"204": 204, "205": 205, "304": 304, "404": 404, "421": 421, "503": 503, "418": 418} {
				a := c.get(t, "a.test.example", "/status/try/"+path)
				if a.StatusCode != want || (want == 204 || want == 205 || want == 304) != (a.text == "") {
					t.Errorf("/try/%s: %d with %q", path, a.StatusCode, a.text)
				}
			}
			if a := c.do(t, c.request(t, "HEAD", "a.test.example", "/status/421", nil)); a.StatusCode != 200 || a.text != "" || a.ContentLength <= 0 {
				t.Errorf("HEAD: %d, %d bytes of %d", a.StatusCode, len(a.text), a.ContentLength)
			}
			var interim []int
			req := c.request(t, "GET", "a.test.example", "/status/try/103", nil)
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if strings.Contains(h.Get("Link"), "preload") {
					interim = append(interim, code)
				}
				return nil
			}}
			c.do(t, req.WithContext(httptrace.WithClientTrace(req.Context(), trace))).want(t, 200, "103")
			if len(interim) != 1 || interim[0] != 103 {
				t.Errorf("interim answers %v", interim)
			}
		})
	}
}
