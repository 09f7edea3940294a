package gateway

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// What a session refuses is logged and counted: with a stream error, which has no status, or with 431.
func TestH2Malformed(t *testing.T) {
	d := drive(t, mixed("http://127.0.0.1:1"))
	c := d.wire(t)
	for _, test := range []struct {
		pairs               []string
		status              int
		method, path, error string
	}{
		{[]string{"X", "1"}, 0, "GET", "/malformed", "a field name that is no token in lower case"},
		{[]string{":path", "/\xc2\x9b?secret"}, 0, "GET", "/\u009b", "a pseudo-field that is unknown, late or there twice"},
		{[]string{":path", "/a\x1b"}, 0, "GET", "/malformed", "a field value with a control character, or with a blank at an end"},
		{[]string{":method", "a b"}, 0, "", "/malformed", "a pseudo-field that is unknown, late or there twice"},
		{slices.Repeat([]string{"x", strings.Repeat("~", 3<<10)}, maxHeaderBytes/(3<<10)+1), 431, "", "", "a header section that is too large"},
	} {
		d.log.forget()
		id := c.get("/malformed", test.pairs...)
		if test.status == 0 {
			c.wantReset(id, http2.ErrCodeProtocol)
		} else {
			c.want(id, "431", "")
		}
		wantFields(t, d.log.wait(t, "msg", "request"), map[string]any{
			"level": "INFO", "listener": "tls", "proto": "h2", "method": test.method, "path": test.path, "status": test.status, "bytes": 0,
			"verdict": "malformed", "reason": malformedRequest, "error": test.error, "sni": "a.test.example", "tls": "1.3", "aborted": nil,
		})
		if text := d.log.text(); strings.Contains(text, "secret") || strings.ContainsAny(text, "\x1b\u009b") {
			t.Errorf("the log has what it must not have: %q", text)
		}
	}
	d.wantMetric(t, 4, "usher_malformed_requests_total", "proto=h2", "status=0")
	d.wantMetric(t, 1, "usher_malformed_requests_total", "proto=h2", "status=431")
	d.wantMetric(t, 0, "usher_requests_total", "proto=h2", "status=0")
	d.wantMetric(t, 1, "usher_requests_total", "proto=h2", "status=431")
}

// Without an access log they are counted all the same.
func TestMalformedWithoutAccessLog(t *testing.T) {
	d := drive(t, mixed("http://127.0.0.1:1")+"log: {access: false}\n")
	c := d.wire(t)
	c.wantReset(c.get("/", "X", "1"), http2.ErrCodeProtocol)
	d.wantMetric(t, 1, "usher_malformed_requests_total", "proto=h2", "status=0")
	if n := d.log.count("msg", "request"); n != 0 {
		t.Errorf("%d requests logged", n)
	}
}
