package proxy

import (
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// What a request looks like on the wire, byte by byte.
func TestRequestBytes(t *testing.T) {
	fields := func(pairs ...string) (f message.Fields) {
		for i := 0; i < len(pairs); i += 2 {
			f = append(f, message.Field{Name: pairs[i], Value: pairs[i+1]})
		}
		return f
	}
	with := func(r *message.Request, f message.Fields) *message.Request { r.Fields = f; return r }
	const start = " HTTP/1.1\r\nhost: example.com\r\n"
	for _, test := range []struct {
		name string
		r    *message.Request
		want string
	}{
		{"GET", with(get("/a?b=c"), fields("accept", "*/*", "x", "")), "GET /a?b=c" + start + "accept: */*\r\nx: \r\n\r\n"},
		{"OPTIONS *", &message.Request{Method: "OPTIONS", Authority: "example.com", Target: "*"}, "OPTIONS *" + start + "\r\n"},
		{"POST without content", send("POST", 0, nil), "POST /" + start + "content-length: 0\r\n\r\n"},
		{"DELETE without content", send("DELETE", 0, nil), "DELETE /" + start + "\r\n"},
		{"content-length is said once", with(send("POST", 5, &pieces{left: []string{"hel", "lo"}}), fields("content-length", "5")),
			"POST /" + start + "content-length: 5\r\n\r\nhello"},
		{"length at hand", send("POST", 5, &atHand{pieces{left: []string{"hel", "lo"}}}), "POST /" + start + "content-length: 5\r\n\r\nhello"},
		{"chunked", send("POST", -1, &pieces{left: []string{"hello", "0123456789abcdef"}}),
			"POST /" + start + "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"},
		{"chunked at hand", send("POST", -1, &atHand{pieces{left: []string{"hello", "0123456789abcdef"}}}),
			"POST /" + start + "transfer-encoding: chunked\r\n\r\n15\r\nhello0123456789abcdef\r\n0\r\n\r\n"},
		{"chunked and empty", send("POST", -1, &pieces{}), "POST /" + start + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunked, empty and at hand", send("POST", -1, &atHand{}), "POST /" + start + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"trailers", send("POST", -1, &pieces{left: []string{"a"}, trailers: fields("x-sum", "1", "content-length", "7", "bad", "a\r\nb: c")}),
			"POST /" + start + "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"},
		{"trailers at hand", send("POST", -1, &atHand{pieces{left: []string{"a"}, trailers: fields("x-sum", "1", "te", "x")}}),
			"POST /" + start + "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"},
		{"announced trailers", with(send("POST", -1, &pieces{left: []string{"a"}, trailers: fields("x-sum", "1")}), fields("trailer", "x-sum, x-more", "x", "y")),
			"POST /" + start + "trailer: x-sum, x-more\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"},
		// Where there is a length there is no place for them (RFC 9112 section 6.3).
		{"announced trailers behind a length", with(send("POST", 5, &pieces{left: []string{"hello"}, trailers: fields("x-sum", "1")}), fields("trailer", "x-sum")),
			"POST /" + start + "trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"},
		{"announced trailers behind a length, at hand", with(send("POST", 5, &atHand{pieces{left: []string{"hel", "lo"}, trailers: fields("x-sum", "1")}}),
			fields("trailer", "x-sum", "content-length", "5")),
			"POST /" + start + "trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"},
		{"announced trailers behind nothing", with(send("POST", 0, nil), fields("trailer", "x-sum")), "POST /" + start + "content-length: 0\r\n\r\n"},
		{"te", with(get("/"), fields("te", "trailers")), "GET /" + start + "te: trailers\r\nconnection: te\r\n\r\n"},
		{"upgrade", &message.Request{Method: "GET", Authority: "example.com", Target: "/", Protocol: "websocket"},
			"GET /" + start + "connection: upgrade\r\nupgrade: websocket\r\n\r\n"},
		{"extended CONNECT", with(&message.Request{Method: "CONNECT", Authority: "example.com", Target: "/", Protocol: "websocket", Length: -1,
			Body: newWaiting()}, fields("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")),
			"GET /" + start + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := newScripted(t, Config{}, func(_ int, c *peer) {
				c.want(test.want)
				c.say(ok + "Content-Length: 2\r\n\r\nok")
				c.head() // waits for the end: nothing else is sent
			})
			if got := answer(s.Do(new(Call), test.r)); got != `200 "ok"` {
				t.Error(got)
			}
		})
	}
}

// Everything that could end a line early, begin another or say something about framing is refused before a byte is written.
func TestRequestRefused(t *testing.T) {
	field := func(name, value string) *message.Request {
		r := get("/")
		r.Fields = message.Fields{{Name: "a", Value: "b"}, {Name: name, Value: value}}
		return r
	}
	authority := func(s string) *message.Request { r := get("/"); r.Authority = s; return r }
	method := func(s string) *message.Request { r := get("/"); r.Method = s; return r }
	protocol := func(s string) *message.Request { r := get("/"); r.Protocol = s; return r }
	refused := map[string]*message.Request{
		"no method":                    method(""),
		"method with a space":          method("GET /x HTTP/1.1\r\nX:"),
		"CONNECT":                      method("CONNECT"),
		"no target":                    get(""),
		"target with a space":          get("/ HTTP/1.1\r\nhost: evil\r\n\r\n"),
		"target with LF":               get("/\nx"),
		"target with NUL":              get("/\x00"),
		"target of another form":       get("http://evil/"),
		"target without a slash":       get("x"),
		"* for GET":                    get("*"),
		"no authority":                 authority(""),
		"authority with CR LF":         authority("a\r\nx: y"),
		"authority with a space":       authority("a b"),
		"authority with a slash":       authority("a/b"),
		"authority with userinfo":      authority("u@a"),
		"authority beyond ASCII":       authority("ä"),
		"protocol with CR LF":          protocol("websocket\r\nx: y"),
		"protocol with a comma":        protocol("a,b"),
		"name with CR LF":              field("a\r\nb", "c"),
		"name with a colon":            field("a:b", "c"),
		"name with a space":            field("a ", "c"),
		"name in upper case":           field("A", "c"),
		"no name":                      field("", "c"),
		"pseudo-field":                 field(":path", "/"),
		"value with CR LF":             field("x", "a\r\nb: c"),
		"value with LF":                field("x", "a\nb"),
		"value with CR":                field("x", "a\rb"),
		"value with NUL":               field("x", "a\x00b"),
		"value with a space at an end": field("x", "a "),
		"host":                         field("host", "evil"),
		"content-length":               field("content-length", "5"),
		"malformed content-length":     field("content-length", "0x0"),
		"transfer-encoding":            field("transfer-encoding", "chunked"),
		"connection":                   field("connection", "close"),
		"keep-alive":                   field("keep-alive", "1"),
		"upgrade":                      field("upgrade", "h2c"),
		"http2-settings":               field("http2-settings", "x"),
		"te":                           field("te", "trailers, chunked"),
		"trailer about framing":        field("trailer", "x, content-length"),
		"trailer of Trailer":           field("trailer", "trailer"),
		"trailer that is no name":      field("trailer", "x y"),
		"trailer in upper case":        field("trailer", "X"),
		"trailer of nothing":           field("trailer", ""),
	}
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			s, sc := newScripted(t, Config{}, func(_ int, c *peer) {
				if got, _ := c.head(); got != "" {
					t.Errorf("it was sent: %q", got)
				}
			})
			if got := answer(s.Do(new(Call), r)); got != "error request" {
				t.Error(got)
			}
			if n := sc.dialled(); n != 0 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestRequestErrorNamesNoBytes(t *testing.T) {
	r := get("/")
	r.Fields = message.Fields{{Name: "a\r\nb", Value: "c"}}
	if _, err := NewServer(Config{}).Do(new(Call), r); strings.ContainsAny(err.Error(), "\r\n") {
		t.Errorf("%q", err)
	}
}
