package gateway

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-http/usher/statuscode"
)

// A must is what a document asks of a response with a status.
type must struct {
	code   int
	quote  string
	field  string // that the response has
	like   string // a regular expression for the value of the field; with a field "", for the content
	except string // a protocol that cannot have the field
}

const (
	location    = `^/status/(try/)?\d{3}$`
	multistatus = `(?s)^<\?xml .*<d:multistatus xmlns:d="DAV:">.*<d:href>/status/200</d:href><d:status>HTTP/1\.1 200 OK</d:status>`
)

// musts has the sentences of the RFCs about fields and content of single statuses, MUST and SHOULD alike.
var musts = []must{
	{103, `RFC 8297 section 2: "the server is likely to send a final response with the header fields included in the informational response"`, "Link", `rel=preload`, ""},
	{104, `draft-ietf-httpbis-resumable-upload: "it MUST include Location header field pointing to the upload resource"`, "Location", location, ""},
	{104, `the same: "Server implementations of draft versions of the protocol MUST also send a header field Upload-Draft-Interop-Version"`, "Upload-Draft-Interop-Version", `^8$`, ""},
	{201, `RFC 9110 section 15.3.2: "The primary resource created by the request is identified by either a Location header field in the response or [...]"`, "Location", location, ""},
	{205, `RFC 9110 section 15.3.6: "a server MUST NOT generate content in a 205 response"`, "", `^$`, ""},
	{206, `RFC 9110 section 15.3.7.1: "the server generating the 206 response MUST generate a Content-Range header field"`, "Content-Range", `^bytes 0-\d+/\d+$`, ""},
	{206, `RFC 9110 section 15.3.7: "MUST generate the following header fields [...] if the field would have been sent in a 200 (OK) response to the same request: Date, Cache-Control, ETag, Expires, Content-Location, and Vary"`, "Etag", `^"usher"$`, ""},
	{207, `RFC 4918 section 13: "The default Multi-Status response body is a text/xml or application/xml HTTP entity with a 'multistatus' root element"`, "Content-Type", `^application/xml`, ""},
	{207, `the same`, "", multistatus, ""},
	{226, `RFC 3229 section 10.4.1: "The response MUST include an Etag header field giving the entity tag of the current instance"`, "Etag", `^"usher"$`, ""},
	{226, `RFC 3229 section 10.5.2: IM says which manipulations have been applied`, "Im", `^feed$`, ""},
	{300, `RFC 9110 section 15.4.1: "If the server has a preferred choice, the server SHOULD generate a Location header field"`, "Location", location, ""},
	{300, `the same: "the server SHOULD generate content in the 300 response containing a list of representation metadata and URI reference(s)"`, "", `<a href="/status/200">`, ""},
	{301, `RFC 9110 section 15.4.2: "The server SHOULD generate a Location header field"`, "Location", location, ""},
	{302, `RFC 9110 section 15.4.3: "The server SHOULD generate a Location header field"`, "Location", location, ""},
	{303, `RFC 9110 section 15.4.4: "redirecting the user agent to a different resource, as indicated by a URI in the Location header field"`, "Location", location, ""},
	{304, `RFC 9110 section 15.4.5: "The server generating a 304 response MUST generate any of the following header fields that would have been sent in a 200 (OK) response to the same request: Content-Location, Date, ETag, and Vary; Cache-Control and Expires"`, "Etag", `^"usher"$`, ""},
	{307, `RFC 9110 section 15.4.8: "The server SHOULD generate a Location header field"`, "Location", location, ""},
	{308, `RFC 9110 section 15.4.9: "The server SHOULD generate a Location header field"`, "Location", location, ""},
	{401, `RFC 9110 section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field containing at least one challenge"`, "Www-Authenticate", `^\S+ realm=`, ""},
	{405, `RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field in a 405 response"`, "Allow", `^$`, ""},
	{407, `RFC 9110 section 15.5.8: "The proxy MUST send a Proxy-Authenticate header field containing a challenge"`, "Proxy-Authenticate", `^\S+ realm=`, ""},
	{413, `RFC 9110 section 15.5.14: "If the condition is temporary, the server SHOULD generate a Retry-After header field"`, "Retry-After", `^\d+$`, ""},
	{415, `RFC 9110 section 15.5.16: "the Accept response header field can be used to indicate which media types would have been accepted in the request"`, "Accept", `/`, ""},
	{416, `RFC 9110 section 15.5.17: "A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range header field specifying the current length of the selected representation"`, "Content-Range", `^bytes \*/\d+$`, ""},
	{423, `RFC 4918 section 11.3: "This response SHOULD contain an appropriate precondition or postcondition code"`, "", `(?s)<d:error xmlns:d="DAV:"><d:lock-token-submitted><d:href>/`, ""},
	{426, `RFC 9110 section 15.5.22: "The server MUST send an Upgrade header field in a 426 response"`, "Upgrade", `^websocket$`, "h2 h3"},
	{428, `RFC 6585 section 3: "Responses using the 428 status code SHOULD explain how to resubmit the request successfully"`, "", `with a condition`, ""},
	{429, `RFC 6585 section 4: "MAY include a Retry-After header indicating how long to wait"`, "Retry-After", `^\d+$`, ""},
	{451, `RFC 7725 section 4: "When an entity blocks access to a resource and returns status 451, it SHOULD include a "Link" HTTP header field [...] whose value is a URI reference identifying itself"`, "Link", `rel="blocked-by"$`, ""},
	{503, `RFC 9110 section 15.6.4: "The server MAY send a Retry-After header field"`, "Retry-After", `^\d+$`, ""},
	{511, `RFC 6585 section 6: "The response representation SHOULD contain a link to a resource that allows the user to submit credentials"`, "", `<a href="/status/`, ""},
}

// TestGuideTriesMusts: what the documents ask of a response with a status is there, over every protocol, and HEAD gets the same fields.
func TestGuideTriesMusts(t *testing.T) {
	r := newFolder(t).start(t, `
listeners: [{name: tls, address: "127.0.0.1:0"}]
sites:
  - hosts: [a.test.example]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes: [{path: /status, guide: true}]
`)
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			c := r.client(t, proto, "tls", "a.test.example")
			for _, code := range statuscode.All() {
				get, interim := tried(t, c, "GET", code.Number)
				checkMusts(t, proto, code, get, interim)
				head, early := tried(t, c, "HEAD", code.Number)
				// RFC 9110 section 9.3.2: "The server SHOULD send the same header fields in response to a HEAD request as it would have
				// sent if the request method had been GET", and "MUST NOT send content".
				if head.text != "" || head.StatusCode != get.StatusCode || !sameFields(head.Header, get.Header) || !sameFields(early, interim) {
					t.Errorf("HEAD %d: %d %v %q, GET has %d %v", code.Number, head.StatusCode, head.Header, head.text, get.StatusCode, get.Header)
				}
			}
		})
	}
}

func checkMusts(t *testing.T, proto string, code *statuscode.Code, final answer, interim http.Header) {
	fields := final.Header
	if !code.Final() && code.Number != http.StatusSwitchingProtocols {
		if fields = interim; fields == nil {
			t.Errorf("no %d came", code.Number)
		}
	}
	for _, m := range musts {
		if m.code != code.Number || strings.Contains(m.except, proto) {
			continue
		}
		value, there := final.text, true
		if m.field != "" {
			values, ok := fields[m.field]
			value, there = strings.Join(values, ", "), ok
		}
		if !there || !regexp.MustCompile(m.like).MatchString(value) {
			t.Errorf("%d: %s %q, want %s: %s", m.code, m.field, value, m.like, m.quote)
		}
	}
	// RFC 9110 section 6.6.1: "An origin server with a clock [...] MUST generate a Date header field in all 2xx (Successful), 3xx
	// (Redirection), and 4xx (Client Error) responses".
	if final.Header.Get("Date") == "" {
		t.Errorf("%d: no Date", code.Number)
	}
	// RFC 6585, of each of 428, 429, 431 and 511: "MUST NOT be stored by a cache". A trial is not to be found in one at all.
	if final.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d may be stored", code.Number)
	}
	// RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
	// (Informational) or 204 (No Content)".
	if _, ok := final.Header["Content-Length"]; ok && code.Number == http.StatusNoContent || interim["Content-Length"] != nil {
		t.Errorf("%d: a length", code.Number)
	}
	if strings.HasPrefix(final.Header.Get("Content-Type"), "application/xml") {
		if err := xml.Unmarshal([]byte(final.text), new(struct{})); err != nil {
			t.Errorf("%d: %v", code.Number, err)
		}
	}
}

// tried asks for a status and returns the answer and the fields of the interim one, if that came.
func tried(t *testing.T, c *client, method string, code int) (a answer, interim http.Header) {
	t.Helper()
	req := c.request(t, method, "a.test.example", "/status/try/"+strconv.Itoa(code), nil)
	req.Header.Set("Upload-Draft-Interop-Version", "8") // clients that do not name it must not be sent a 104
	trace := &httptrace.ClientTrace{Got1xxResponse: func(got int, h textproto.MIMEHeader) error {
		if got != code || interim != nil {
			return fmt.Errorf("an interim answer %d", got)
		}
		interim = http.Header(h).Clone()
		return nil
	}}
	return c.do(t, req.WithContext(httptrace.WithClientTrace(req.Context(), trace))), interim
}

func sameFields(a, b http.Header) bool {
	a, b = a.Clone(), b.Clone()
	a.Del("Date")
	b.Del("Date")
	return maps.EqualFunc(a, b, slices.Equal)
}
