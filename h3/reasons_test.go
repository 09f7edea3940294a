package h3_test

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/rawh3"
)

func TestReasons(t *testing.T) {
	w := newWorld(t).serve(t)
	get := func(host string) []rawh3.Field { return rawh3.Get(host, "/") }
	tests := []struct {
		name   string
		config *tls.Config
		fields []rawh3.Field
		status int
		reason string // "" for none
	}{
		// "a request for an "https" resource MUST be rejected unless it has been received over a connection that has been secured
		// via a certificate valid for that target URI's origin" (RFC 9110 section 7.4): other hosts of the certificate are fine.
		{"same host", w.tls("open.example"), get("open.example"), 200, ""},
		{"another host of the site", w.tls("open.example"), get("second.example"), 200, ""},
		{"another case, a dot and the port", w.tls("open.example"), get("OPEN.example.:443"), 200, ""},
		{"upper-case SNI", w.tls("OPEN.EXAMPLE"), get("open.example"), 200, ""},
		{"upper-case SNI is no way round client authentication", w.tls("OPEN.EXAMPLE"), get("admin.example"), 421, "client_auth_mismatch"},
		// "The :scheme pseudo-header is not restricted to URIs with scheme "http" and "https"" (RFC 9114 section 4.3.1).
		{"scheme in upper case", w.tls("open.example"), rawh3.Request("GET", "HTTPS", "open.example", "/"), 200, ""},
		{"scheme http", w.tls("open.example"), rawh3.Request("GET", "http", "open.example", "/"), 421, "scheme_mismatch"},
		{"scheme ftp", w.tls("open.example"), rawh3.Request("GET", "ftp", "open.example", "/"), 421, "scheme_mismatch"},
		{"scheme without end", w.tls("open.example"), rawh3.Request("GET", "https"+strings.Repeat("s", 5000), "open.example", "/"), 421, "scheme_mismatch"},
		{"malformed authority", w.tls("open.example"), get("open%2eexample"), 400, "malformed_authority"},
		{"port 0", w.tls("open.example"), get("open.example:0"), 400, "malformed_authority"},
		{"raw UTF-8", w.tls("open.example"), get("öpen.example"), 400, "malformed_authority"},
		{"unknown origin", w.tls("open.example"), get("unknown.example"), 421, "unknown_origin"},
		{"unknown origin outside the certificate", w.tls("open.example"), get("nowhere.example"), 421, "unknown_origin"},
		{"unknown port", w.tls("open.example"), get("open.example:444"), 421, "unknown_origin"},
		{"wrong listener", w.tls("open.example"), get("elsewhere.example:8443"), 421, "wrong_listener"},
		{"certificate mismatch", w.tls("open.example"), get("apart.example"), 421, "certificate_mismatch"},
		{"certificate mismatch the other way", w.tls("apart.example"), get("open.example"), 421, "certificate_mismatch"},
		{"require on an open connection", w.tls("open.example"), get("admin.example"), 421, "client_auth_mismatch"},
		{"require on an optional connection without certificate", w.tls("member.example"), get("admin.example"), 421, "client_auth_mismatch"},
		{"require on an optional connection with one", w.withCert(t, "member.example"), get("admin.example"), 200, ""},
		{"require on its own connection", w.withCert(t, "admin.example"), get("admin.example"), 200, ""},
		{"optional on an open connection", w.tls("open.example"), get("member.example"), 421, "client_auth_mismatch"},
		{"optional on its own connection", w.tls("member.example"), get("member.example"), 200, ""},
		{"open on an authenticated connection", w.withCert(t, "admin.example"), get("open.example"), 200, ""},
		{"connections of its own", w.tls("open.example"), get("solo.example"), 421, "coalescing_refused"},
		{"connections of its own, its own", w.tls("solo.example"), get("solo.example"), 200, ""},
		// RFC 9114 section 4.3.1: "If the :scheme pseudo-header field identifies a scheme that has a mandatory authority component
		// (including "http" and "https"), the request MUST contain either an :authority pseudo-header field or a Host header field."
		{"Host alone", w.tls("open.example"), []rawh3.Field{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "open.example"}}, 200, ""},
		{"Host alone, misdirected", w.tls("open.example"), []rawh3.Field{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "admin.example"}}, 421, "client_auth_mismatch"},
		{"Host beside the same authority", w.tls("open.example"), get2("open.example", "open.example"), 200, ""},
		{"OPTIONS *", w.tls("open.example"), rawh3.Request("OPTIONS", "https", "open.example", "*"), 200, ""},
		{"OPTIONS * misdirected", w.tls("open.example"), rawh3.Request("OPTIONS", "https", "apart.example", "*"), 421, "certificate_mismatch"},
		{"POST refused", w.tls("open.example"), rawh3.Request("POST", "https", "admin.example", "/"), 421, "client_auth_mismatch"},
		// RFC 9114 section 4.4: "The :scheme and :path pseudo-header fields are omitted".
		{"CONNECT", w.tls("open.example"), []rawh3.Field{{":method", "CONNECT"}, {":authority", "open.example:443"}}, 405, "method_not_supported"},
		{"extended CONNECT", w.tls("open.example"), append(rawh3.Request("CONNECT", "https", "open.example", "/"), rawh3.Field{":protocol", "websocket"}), 405, "method_not_supported"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := w.dial(t, test.config)
			w.reasons.take()
			res := do(t, c, test.fields)
			var want []string
			if test.reason != "" {
				want = []string{test.reason}
			}
			if got := w.reasons.take(); res.Status != test.status || !slices.Equal(got, want) {
				t.Errorf("%d %q, want %d %q", res.Status, got, test.status, want)
			}
			// The connection can be used for what it is entitled to, whatever was refused before.
			wantStatus(t, c, test.config.ServerName, 200)
		})
	}
}

func get2(authority, host string) []rawh3.Field {
	return rawh3.Get(authority, "/", rawh3.Field{"host", host})
}

// TestRefusedBelow has the requests that quic-go, or this server before the guard, takes for malformed: "Malformed
// requests or responses that are detected MUST be treated as a stream error of type H3_MESSAGE_ERROR" (RFC 9114 section 4.1.2). No handler sees them, and
// the connection goes on.
func TestRefusedBelow(t *testing.T) {
	w := newWorld(t).serve(t)
	c := w.dial(t, w.tls("open.example"))
	method, scheme, auth, path := rawh3.Field{":method", "GET"}, rawh3.Field{":scheme", "https"},
		rawh3.Field{":authority", "open.example"}, rawh3.Field{":path", "/"}
	tests := map[string][]rawh3.Field{
		// "If both fields are present, they MUST contain the same value" (4.3.1): host_conflict never gets as far as the guard.
		"Host differs from :authority": get2("open.example", "second.example"),
		"Host in another case":         get2("open.example", "OPEN.example"),
		"two Host fields":              {method, scheme, path, {"host", "open.example"}, {"host", "open.example"}},
		// "the request MUST contain either an :authority pseudo-header field or a Host header field" (4.3.1).
		"no authority": {method, scheme, path},
		// "If these fields are present, they MUST NOT be empty" (4.3.1).
		"empty authority": rawh3.Get("", "/"),
		// "The authority MUST NOT include the deprecated userinfo subcomponent" (4.3.1).
		"userinfo": rawh3.Get("user@open.example", "/"),
		// "All HTTP/3 requests MUST include exactly one value for the :method, :scheme, and :path pseudo-header fields" (4.3.1).
		"no :scheme":              {method, auth, path},
		"empty :scheme":           rawh3.Request("GET", "", "open.example", "/"),
		"two :scheme":             {method, scheme, scheme, auth, path},
		"two :scheme that differ": {method, {":scheme", "http"}, scheme, auth, path},
		"no :path":                {method, scheme, auth},
		"no :method":              {scheme, auth, path},
		"two authorities":         {method, scheme, auth, auth, path},
		// "All pseudo-header fields MUST appear in the header section before regular header fields" (4.3).
		":scheme after a field":     {method, auth, path, {"accept", "*/*"}, scheme},
		"absolute-form :path":       rawh3.Get("open.example", "https://apart.example/"),
		"CONNECT with :scheme":      rawh3.Request("CONNECT", "https", "open.example", "/"),
		"connection-specific field": rawh3.Get("open.example", "/", rawh3.Field{"connection", "close"}),
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			w.reasons.take()
			res, err := try(t, c, fields)
			if err == nil {
				t.Fatalf("answered %d %q", res.Status, res.Body)
			}
			wantCode(t, err, rawh3.MessageError)
			if got := w.reasons.take(); got != nil {
				t.Errorf("reasons %q", got)
			}
			wantStatus(t, c, "open.example", 200)
		})
	}
}

// TestWithoutSites: the certificate rule alone, and what a per-SNI configuration of the caller's means.
func TestWithoutSites(t *testing.T) {
	w := newWorld(t)
	cert := w.ca.Server(t, "a.example", "*.b.example", "127.0.0.1")
	w.config.Sites, w.config.Listeners, w.server.Listener = nil, nil, ""
	w.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	w.serve(t)
	c := w.dial(t, w.tls("a.example"))
	for host, status := range map[string]int{
		"a.example": 200, "x.b.example": 200, "x.y.b.example": 421, "b.example": 421, "127.0.0.1": 200, "127.0.0.2": 421, "[::1]": 421,
	} {
		wantStatus(t, c, host, status)
	}
	if res := do(t, c, rawh3.Request("GET", "http", "a.example", "/")); res.Status != 421 {
		t.Errorf("scheme http: %d", res.Status)
	}
}

// TestPerSNI: a GetConfigForClient of the caller's that knows nothing of HTTP/3 is asked, and hosts of another policy are refused.
func TestPerSNI(t *testing.T) {
	w := newWorld(t)
	cert := w.ca.Server(t, "a.example", "b.example")
	w.config.Sites, w.config.Listeners, w.server.Listener = nil, nil, ""
	w.server.TLSConfig = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}}
	w.serve(t)
	c := w.dial(t, w.tls("a.example"))
	wantStatus(t, c, "b.example", 421)
	wantStatus(t, c, "a.example", 200)
}

// TestListenerByPort: without a name the listener is the one that has the local port.
func TestListenerByPort(t *testing.T) {
	w := newWorld(t)
	w.server.Listener = ""
	w.serve(t)
	c := w.dial(t, w.tls("open.example"))
	// No listener has the port of this socket, so the connection is on none.
	wantStatus(t, c, "elsewhere.example:8443", 421)
	if got := w.reasons.take(); !slices.Equal(got, []string{"wrong_listener"}) {
		t.Errorf("reasons %q", got)
	}

	var port uint16
	if _, err := fmt.Sscan(w.addr[strings.LastIndexByte(w.addr, ':')+1:], &port); err != nil {
		t.Fatal(err)
	}
	w.config.Listeners[1].Ports = []uint16{port}
	if err := w.guard.Replace(w.config); err != nil {
		t.Fatal(err)
	}
	c = w.dial(t, w.tls("open.example"))
	wantStatus(t, c, "elsewhere.example:"+w.addr[strings.LastIndexByte(w.addr, ':')+1:], 200)
}
