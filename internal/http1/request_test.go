package http1

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

const most = 64 << 10

// parse takes bytes that hold one header section and nothing else. The error is a status; 0: it was taken.
func parse(text string) (r message.Request, p Request, status int) {
	b := []byte(text)
	var scan Scan
	n, err := scan.End(b)
	if err == nil && n != len(b) {
		return r, p, -1
	}
	if err == nil {
		err = p.Parse(b, &r, most)
	}
	var wrong *Error
	if errors.As(err, &wrong) {
		return r, p, wrong.Status
	}
	return r, p, 0
}

func fields(pairs ...string) (f message.Fields) {
	for i := 0; i < len(pairs); i += 2 {
		f = append(f, message.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return f
}

func TestGoodRequests(t *testing.T) {
	const host = "Host: a.test\r\n"
	tests := []struct {
		name, text          string
		want                message.Request
		persistent, expects bool
	}{
		{"origin-form", "GET /a?b=c HTTP/1.1\r\nHost: a.test:8443\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test:8443", Target: "/a?b=c", Minor: 1}, true, false},
		{"names are in lower case, values as they are, blanks round them gone", "GET / HTTP/1.1\r\nHOST:a.test\r\nX-Mine: \t A b\t \r\nY:\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1, Fields: fields("x-mine", "A b", "y", "")}, true, false},
		// RFC 9110 section 9.1: "The method token is case-sensitive".
		{"an unknown method", "get / HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "get", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		// RFC 9112 section 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin server MUST
		// ignore the received Host header field (if any) and instead use the host information of the request-target."
		{"absolute-form", "GET https://b.test:1/x?y HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "GET", Scheme: "https", Authority: "b.test:1", Target: "/x?y", Minor: 1}, true, false},
		{"absolute-form without a path", "GET http://b.test HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "GET", Scheme: "http", Authority: "b.test", Target: "/", Minor: 1}, true, false},
		{"absolute-form with a query alone", "GET http://b.test?x=/y HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "GET", Scheme: "http", Authority: "b.test", Target: "/?x=/y", Minor: 1}, true, false},
		{"userinfo is left for others to refuse", "GET https://u@b.test/ HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "GET", Scheme: "https", Authority: "u@b.test", Target: "/", Minor: 1}, true, false},
		{"an authority of nothing", "GET https:///x HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "GET", Scheme: "https", Authority: "", Target: "/x", Minor: 1}, true, false},
		{"asterisk-form", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "OPTIONS", Authority: "a.test", Target: "*", Minor: 1}, true, false},
		{"authority-form", "CONNECT b.test:443 HTTP/1.1\r\n" + host + "\r\n",
			message.Request{Method: "CONNECT", Authority: "b.test:443", Minor: 1}, true, false},
		{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
			message.Request{Method: "GET", Target: "/", Minor: 1}, true, false},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n",
			message.Request{Method: "GET", Target: "/"}, false, false},
		{"HTTP/1.0 that goes on", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
			message.Request{Method: "GET", Target: "/"}, true, false},
		// RFC 9110 section 2.5: "A recipient that receives a message with a major version number that it implements and a minor version
		// number higher than what it implements SHOULD process the message as if it was in the highest minor version within that major
		// version".
		{"HTTP/1.7", "GET / HTTP/1.7\r\n" + host + "\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		// RFC 9112 section 9.3: "If the "close" connection option is present [...], the connection will not persist after the current
		// response".
		{"close", "GET / HTTP/1.1\r\n" + host + "Connection: foo, CLOSE\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, false, false},
		{"close beats keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
			message.Request{Method: "GET", Target: "/"}, false, false},
		{"a length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 007\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: 7}, true, false},
		// RFC 9112 section 7: "All transfer-coding names are case-insensitive".
		{"chunks", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: CHUNKED\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: -1}, true, false},
		{"an expectation", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: 1, Fields: fields("expect", "100-Continue")}, true, true},
		{"an expectation without content", "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Fields: fields("expect", "100-continue")}, true, false},
		// RFC 9110 section 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
		{"an expectation in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
			message.Request{Method: "POST", Target: "/", Length: 1, Fields: fields("expect", "100-continue")}, false, false},
		{"several cookies", "GET / HTTP/1.1\r\n" + host + "Cookie: a=1\r\nX: y\r\nCookie: b=2\r\nCookie: c=3\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1, Fields: fields("cookie", "a=1; b=2; c=3", "x", "y")}, true, false},
		// RFC 9110 section 7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and, for each
		// connection-option in this field, remove any header or trailer field(s) from the message with the same name as the
		// connection-option, and then remove the Connection header field itself".
		{"fields about the connection", "GET / HTTP/1.1\r\n" + host + "Connection: X-Mine ,host,\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nx-mine: 1\r\nX-mine: 2\r\nTE: gzip\r\nY: z\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1, Fields: fields("y", "z")}, true, false},
		{"announced trailers", "POST / HTTP/1.1\r\n" + host + "Trailer: X-Sum, y\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: -1, Fields: fields("trailer", "X-Sum, y", "a", "b")}, true, false},
		{"announced trailers about the connection", "POST / HTTP/1.1\r\n" + host + "Trailer: X-Sum, y\r\nTransfer-Encoding: chunked\r\nConnection: x-sum\r\nA: b\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: -1, Fields: fields("a", "b", "trailer", "y")}, true, false},
		{"Trailer for the connection alone", "POST / HTTP/1.1\r\n" + host + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: trailer\r\nA: b\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: -1, Fields: fields("a", "b")}, true, false},
		{"announced trailers without a place for them", "POST / HTTP/1.1\r\n" + host + "Trailer: X-Sum\r\nContent-Length: 1\r\nA: b\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1, Length: 1, Fields: fields("a", "b")}, true, false},
		{"trailers", "GET / HTTP/1.1\r\n" + host + "Connection: te\r\nTE: gzip, Trailers\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1, Fields: fields("te", "trailers")}, true, false},
		{"WebSocket", "GET / HTTP/1.1\r\n" + host + "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1, Protocol: "websocket", Fields: fields("sec-websocket-key", "x")}, true, false},
		{"an upgrade that is not named by Connection", "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		{"two upgrades", "GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		{"two upgrades, the good one last", "GET / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		{"an upgrade of a POST", "POST / HTTP/1.1\r\n" + host + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
			message.Request{Method: "POST", Authority: "a.test", Target: "/", Minor: 1}, true, false},
		// RFC 9110 section 7.8: "A server that receives an Upgrade header field in an HTTP/1.0 request MUST ignore that Upgrade field."
		{"an upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
			message.Request{Method: "GET", Target: "/"}, false, false},
		{"an upgrade to h2c", "GET / HTTP/1.1\r\n" + host + "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
			message.Request{Method: "GET", Authority: "a.test", Target: "/", Minor: 1}, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, p, status := parse(test.text)
			test.want.Major = 1
			if len(r.Fields) == 0 {
				r.Fields = nil
			}
			if status != 0 || !reflect.DeepEqual(r, test.want) {
				t.Errorf("%d %+v\nwant %+v", status, r, test.want)
			}
			if p.Persistent != test.persistent || p.Expects != test.expects {
				t.Errorf("persistent %v, expects %v; want %v, %v", p.Persistent, p.Expects, test.persistent, test.expects)
			}
		})
	}
}

var badRequests = []struct {
	name, text string
	status     int
}{
	{"no HTTP", "hello\r\n\r\n", 400},
	{"nothing", "\r\n", 400},
	{"no version", "GET /\r\n\r\n", 400},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	{"tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a method that is no token", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	// RFC 9112 section 2.3: "HTTP-name is case-sensitive."
	{"a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	{"a version with a letter", "GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
	{"a version with two digits", "GET / HTTP/1.11\r\nHost: a\r\n\r\n", 400},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	{"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n", 400},
	{"a control character in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a fragment in absolute-form", "GET http://a.test/#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a target that is none", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a target without authority", "GET mailto:a@b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"a scheme that is none", "GET 1x://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"an empty scheme", "GET ://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	// RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
	// header field and to any request message that contains more than one Host header field line or a Host header field with an invalid
	// field value."
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"a Host that is none", "GET / HTTP/1.1\r\nHost: a<b\r\n\r\n", 400},
	{"a Host with userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
	{"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"a Host with a tab", "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", 400},
	{"a Host past ASCII", "GET / HTTP/1.1\r\nHost: \u00f6\r\n\r\n", 400},
	{"no Host beside absolute-form", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
	// RFC 9112 section 2.2: "a recipient MAY recognize a single LF as a line terminator and ignore any preceding CR." Not here. And: "A
	// sender MUST NOT generate a bare CR [...]. A recipient of such a bare CR MUST consider that element to be invalid or replace each
	// bare CR with SP".
	{"bare LFs", "GET / HTTP/1.1\nHost: a\n\n", 400},
	{"a bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"a bare LF between fields", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
	{"a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	{"a LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"bare CRs", "GET / HTTP/1.1\rHost: a\r\r\n\r\n", 400},
	{"a bare CR behind the request line", "GET / HTTP/1.1\rXHost: a\r\n\r\n", 400},
	{"a bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
	{"a CR at the beginning of a line", "GET / HTTP/1.1\r\nHost: a\r\n\rX: a\r\n\r\n", 400},
	{"two CRs", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
	{"two CRs at the end", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400},
	// RFC 9112 section 2.2: "A recipient that receives whitespace between the start-line and the first header field MUST either reject the
	// message as invalid or consume each whitespace-preceded line without further processing of it".
	{"a folded line first", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400},
	// RFC 9112 section 5.2: "A server that receives an obs-fold in a request message that is not within a message/http container MUST either
	// reject the message by sending a 400 (Bad Request) [...] or replace each received obs-fold".
	{"a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400},
	// RFC 9112 section 5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that
	// contains whitespace between a header field name and colon."
	{"a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400},
	{"a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400},
	{"a name past ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX\xf6: x\r\n\r\n", 400},
	{"a NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00: x\r\n\r\n", 400},
	{"a NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00x\r\n\r\n", 400},
	{"a form feed in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x0cb\r\n\r\n", 400},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400},
	// RFC 9112 section 6.3: "If a message is received without Transfer-Encoding and with an invalid Content-Length header field, then the
	// message framing is invalid and the recipient MUST treat it as an unrecoverable error [...]. If this is a request message, the server
	// MUST respond with a 400 (Bad Request) status code and then close the connection."
	{"two lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
	{"a list of lengths", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
	{"a signed length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
	{"an empty length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
	{"a length past 63 bits", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
	// RFC 9112 section 6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD respond with 501
	// (Not Implemented)."
	{"an unknown coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
	{"a coding before chunks", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"chunks twice", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
	{"chunks twice, in two fields", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	{"identity", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
	{"an empty coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 501},
	{"a coding with a parameter", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 501},
	// RFC 9112 section 6.3: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding".
	{"chunks and a length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"chunks and a length of nothing", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400},
	// Who announces what frames the message wants it to be read in two ways.
	{"an announced length", "POST / HTTP/1.1\r\nHost: a\r\nTrailer: x, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"an announced coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: trailer\r\nTrailer: x\r\nTrailer: transfer-encoding\r\n\r\n", 400},
	{"an announced announcement", "POST / HTTP/1.1\r\nHost: a\r\nTrailer: Trailer\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	// RFC 9112 section 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the
	// message as if the framing is faulty".
	{"chunks in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	// RFC 9110 section 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a
	// 417 (Expectation Failed) status code".
	{"another expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417},
	{"two expectations", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", 417},
	{"many options", "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + strings.Repeat("a,", 32) + "a\r\n\r\n", 400},
	{"many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a:\r\n", 1900) + "\r\n", 431},
}

func TestBadRequests(t *testing.T) {
	for _, test := range badRequests {
		t.Run(test.name, func(t *testing.T) {
			if r, _, status := parse(test.text); status != test.status {
				t.Errorf("%d, want %d; %+v", status, test.status, r)
			}
		})
	}
}

// However a section arrives, its end is found at the same place, and not before all of it is there.
func TestScanByDrops(t *testing.T) {
	const text = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
	var scan Scan
	for n := range len(text) {
		if end, err := scan.End([]byte(text[:n])); end != 0 || err != nil {
			t.Fatalf("after %d bytes: %d, %v", n, end, err)
		}
	}
	if end, err := scan.End([]byte(text + "GET")); end != len(text) || err != nil {
		t.Errorf("%d, %v; want %d", end, err, len(text))
	}
}

// What ends a line wrongly is refused when it is seen, not when more has come.
func TestScanRefuses(t *testing.T) {
	for _, text := range []string{"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "GET / HTTP/1.1\r\n\n", "GET / HTTP/1.1\r\n\r\r\n", "GET / HTTP/1.1\r\n\rX\r\n"} {
		var scan Scan
		if n, err := scan.End([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}

// Nothing of one request is left for the next.
func TestRequestAfterAnother(t *testing.T) {
	var p Request
	var r message.Request
	for _, text := range []string{
		"POST https://b.test/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nTE: trailers\r\nCookie: a\r\nCookie: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		if err := p.Parse([]byte(text), &r, most); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"), &r, most); err != nil || r.Protocol != "" {
		t.Errorf("%v, protocol %q", err, r.Protocol)
	}
	if err := p.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"), &r, most); err != nil || r.Protocol != "" {
		t.Errorf("%v, protocol %q", err, r.Protocol)
	}
	if err := p.Parse([]byte("GET /y HTTP/1.0\r\n\r\n"), &r, most); err != nil {
		t.Fatal(err)
	}
	if len(r.Fields) != 0 {
		t.Errorf("fields %v", r.Fields)
	}
	r.Fields = nil
	if want := (message.Request{Method: "GET", Target: "/y", Major: 1}); !reflect.DeepEqual(r, want) || p.Persistent || p.Expects {
		t.Errorf("%+v", r)
	}
}

func TestParseAllocatesOnce(t *testing.T) {
	text := "GET /some/path HTTP/1.1\r\nHost: a.test\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n"
	var p Request
	var r message.Request
	b := make([]byte, len(text))
	n := testing.AllocsPerRun(100, func() {
		copy(b, text)
		var scan Scan
		if end, err := scan.End(b); end != len(b) || err != nil {
			t.Fatal(end, err)
		}
		if err := p.Parse(b, &r, most); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 {
		t.Errorf("%v allocations for a request, want the one of its text", n)
	}
}
