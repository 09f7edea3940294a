package h2

import "strings"

// A case is a conversation and what it means. Where x/net's server means something else, that is said, with the reason.
type testCase struct {
	name string
	rfc  string // the sentence, where one is relied on
	bare bool   // the script sends its own preface
	send func(c *script)
	want string

	theirs, why string
}

func ask(pairs ...string) func(c *script) { return func(c *script) { c.ask(1, pairs...) } }

// with returns the pseudo-fields of a GET and further fields.
func with(more ...string) func(c *script) { return ask(get(more...)...) }

const (
	ok        = "1=200"
	malformed = "1=RST(PROTOCOL_ERROR)"
	protocol  = "GOAWAY(PROTOCOL_ERROR)"
	frameSize = "GOAWAY(FRAME_SIZE_ERROR)"
	closed    = "GOAWAY(STREAM_CLOSED)"
	flow      = "GOAWAY(FLOW_CONTROL_ERROR)"
)

// fieldCases are about what is in a header section (RFC 9113 section 8).
var fieldCases = []testCase{
	{name: "plain", send: with(), want: ok},
	{name: "upper-case name", rfc: "A field name MUST NOT contain characters in the ranges 0x00-0x20, 0x41-0x5a, or 0x7f-0xff (all ranges inclusive).",
		send: with("X-Upper", "1"), want: malformed},
	{name: "space in a name", send: with("x y", "1"), want: malformed},
	{name: "control in a name", send: with("x\x01y", "1"), want: malformed},
	{name: "nul in a name", send: with("x\x00", "1"), want: malformed},
	{name: "del in a name", send: with("x\x7f", "1"), want: malformed},
	{name: "obs-text in a name", send: with("x\xe4", "1"), want: malformed},
	{name: "no name", send: with("", "1"), want: malformed},
	{name: "colon in a name", rfc: "With the exception of pseudo-header fields, which have a name that starts with a single colon, field names MUST NOT include a colon (ASCII COLON, 0x3a).",
		send: with("x:y", "1"), want: malformed},
	{name: "bracket in a name", send: with("x(y)", "1"), want: malformed},
	{name: "odd token", send: with("x!#$%&'*+-.^_`|~0", "1"), want: ok},
	{name: "nul in a value", rfc: "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed (ASCII LF, 0x0a), or carriage return (ASCII CR, 0x0d) at any position.",
		send: with("x", "a\x00b"), want: malformed},
	{name: "lf in a value", send: with("x", "a\nb"), want: malformed},
	{name: "cr in a value", send: with("x", "a\rb"), want: malformed},
	{name: "crlf and a field in a value", send: with("x", "a\r\ncontent-length: 5"), want: malformed},
	{name: "control in a value", send: with("x", "a\x01b"), want: malformed},
	{name: "del in a value", send: with("x", "a\x7fb"), want: malformed},
	{name: "del late in a long value", send: with("x", strings.Repeat("a", 29)+"\x7f"), want: malformed},
	{name: "control among long", send: with("x", strings.Repeat("a", 13)+"\x1f"+strings.Repeat("a", 13)), want: malformed},
	{name: "tab in a value", send: with("x", "a\tb"), want: ok},
	{name: "obs-text in a value", send: with("x", "caf\xe9 \xff\x80"), want: ok},
	{name: "space before a value", rfc: "A field value MUST NOT start or end with an ASCII whitespace character (ASCII SP or HTAB, 0x20 or 0x09).",
		send: with("x", " a"), want: malformed, theirs: ok, why: "x/net does not look at the ends of values"},
	{name: "space behind a value", send: with("x", "a "), want: malformed, theirs: ok, why: "x/net does not look at the ends of values"},
	{name: "tab before a value", send: with("x", "\ta"), want: malformed, theirs: ok, why: "x/net does not look at the ends of values"},
	{name: "tab behind a value", send: with("x", "aaaaaaaaaaaaaaaa\t"), want: malformed, theirs: ok, why: "x/net does not look at the ends of values"},
	{name: "empty value", send: with("x", ""), want: ok},

	{name: "connection", rfc: "Any message containing connection-specific header fields MUST be treated as malformed (Section 8.1.1).",
		send: with("connection", "close"), want: malformed, theirs: "1=400", why: "x/net answers 400 without asking the handler: the client learns as much"},
	{name: "keep-alive", send: with("keep-alive", "timeout=5"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "proxy-connection", send: with("proxy-connection", "close"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "transfer-encoding", send: with("transfer-encoding", "chunked"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "upgrade", send: with("upgrade", "websocket"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "te trailers", send: with("te", "trailers"), want: ok},
	{name: "te other", rfc: `The only exception to this is the TE header field, which MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other than "trailers".`,
		send: with("te", "gzip"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "te both", send: with("te", "trailers, deflate"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "te twice", send: with("te", "trailers", "te", "trailers"), want: malformed, theirs: "1=400", why: "see connection"},
	{name: "te empty", send: with("te", ""), want: malformed, theirs: ok, why: "x/net takes an empty te for none"},

	{name: "pseudo-field late", rfc: "All pseudo-header fields sent in a field block MUST appear before all regular header fields in that block. Any request or response that contains a pseudo-header field that appears in a field block after a regular header field MUST be treated as malformed",
		send: ask(":method", "GET", ":scheme", "https", ":authority", "a", "x", "1", ":path", "/"), want: malformed},
	{name: "method twice", rfc: "The same pseudo-header field name MUST NOT appear more than once in a field block. A field block ... that contains a repeated pseudo-header field name MUST be treated as malformed",
		send: ask(":method", "GET", ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "path twice", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/", ":path", "/b"), want: malformed},
	{name: "scheme twice", send: ask(":method", "GET", ":scheme", "https", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "authority twice", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":authority", "a", ":path", "/"), want: malformed},
	{name: "unknown pseudo-field", rfc: "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header fields as malformed",
		send: ask(append([]string{":foo", "1"}, get()...)...), want: malformed},
	{name: "pseudo-field of an answer", rfc: "Pseudo-header fields defined for responses MUST NOT appear in requests.",
		send: ask(append([]string{":status", "200"}, get()...)...), want: malformed},
	{name: "upper-case pseudo-field", send: ask(":Method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "no name but a colon", send: ask(append([]string{":", "1"}, get()...)...), want: malformed},
	{name: "no method", rfc: `All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path" pseudo-header fields, unless they are CONNECT requests`,
		send: ask(":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "no scheme", send: ask(":method", "GET", ":authority", "a", ":path", "/"), want: malformed},
	{name: "no path", send: ask(":method", "GET", ":scheme", "https", ":authority", "a"), want: malformed},
	{name: "nothing", send: ask(), want: malformed},
	{name: "empty path", rfc: `This pseudo-header field MUST NOT be empty for "http" or "https" URIs`,
		send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", ""), want: malformed},
	{name: "empty method", send: ask(":method", "", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "empty scheme", send: ask(":method", "GET", ":scheme", "", ":authority", "a", ":path", "/"), want: malformed},
	{name: "relative path", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "b"), want: malformed},
	{name: "absolute path", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "https://b/"), want: malformed},
	{name: "path with a space", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/a b"), want: malformed,
		theirs: ok, why: "a space would end the target in HTTP/1.1: x/net has no upstream to think of"},
	{name: "path with crlf", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/\r\nx: y"), want: malformed},
	{name: "path with a bad escape", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/%zz"), want: ok,
		theirs: malformed, why: "x/net decodes the path; here it is passed on as it is"},
	{name: "path with raw bytes", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/\xc3\xa4"), want: ok},
	{name: "path with a query", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/?a=b&c"), want: ok},
	{name: "two slashes", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "//b/c"), want: ok},
	{name: "method with a space", send: ask(":method", "GET /x", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed,
		theirs: ok, why: "x/net takes any method; this would be a request line of its own in HTTP/1.1"},
	{name: "odd method", send: ask(":method", "M-SEARCH", ":scheme", "https", ":authority", "a", ":path", "/"), want: ok},
	{name: "lower-case method", send: ask(":method", "get", ":scheme", "https", ":authority", "a", ":path", "/"), want: ok},
	{name: "options asterisk", send: ask(":method", "OPTIONS", ":scheme", "https", ":authority", "a", ":path", "*"), want: ok},
	{name: "get asterisk", send: ask(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "*"), want: malformed,
		theirs: ok, why: "x/net lets * pass with any method"},
	{name: "http", send: ask(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"), want: ok},
	{name: "another scheme", send: ask(":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"), want: ok,
		theirs: malformed, why: "the guard answers schemes that are not served"},
	{name: "upper-case scheme", send: ask(":method", "GET", ":scheme", "HTTPS", ":authority", "a", ":path", "/"), want: ok,
		theirs: malformed, why: "the guard answers schemes that are not served"},
	{name: "scheme that is none", send: ask(":method", "GET", ":scheme", "https://b/?", ":authority", "a", ":path", "/"), want: malformed},
	{name: "scheme that begins with a digit", send: ask(":method", "GET", ":scheme", "1https", ":authority", "a", ":path", "/"), want: malformed},

	{name: "no authority", send: ask(":method", "GET", ":scheme", "https", ":path", "/"), want: ok},
	{name: "host alone", send: ask(":method", "GET", ":scheme", "https", ":path", "/", "host", "a"), want: ok},
	{name: "host and authority differ", send: with("host", "other.example"), want: ok,
		theirs: malformed, why: "the guard judges Host and :authority"},
	{name: "two hosts", send: with("host", "a.example", "host", "a.example"), want: ok,
		theirs: malformed, why: "the guard judges Host and :authority"},
	{name: "userinfo", send: ask(":method", "GET", ":scheme", "https", ":authority", "u:p@a", ":path", "/"), want: ok,
		theirs: malformed, why: "the guard judges authorities"},
	{name: "authority with a space", send: ask(":method", "GET", ":scheme", "https", ":authority", "a b", ":path", "/"), want: ok,
		theirs: malformed, why: "the guard judges authorities"},
	{name: "authority with crlf", send: ask(":method", "GET", ":scheme", "https", ":authority", "a\r\nx: y", ":path", "/"), want: malformed},
	{name: "authority with a bad port", send: ask(":method", "GET", ":scheme", "https", ":authority", "a:b", ":path", "/"), want: ok},
	{name: "empty authority", send: ask(":method", "GET", ":scheme", "https", ":authority", "", ":path", "/"), want: ok},

	{name: "connect", send: ask(":method", "CONNECT", ":authority", "a:443"), want: ok},
	{name: "connect with a path", rfc: `The ":scheme" and ":path" pseudo-header fields MUST be omitted. ... A CONNECT request that does not conform to these restrictions is malformed`,
		send: ask(":method", "CONNECT", ":authority", "a:443", ":path", "/"), want: malformed},
	{name: "connect with a scheme", send: ask(":method", "CONNECT", ":authority", "a:443", ":scheme", "https"), want: malformed},
	{name: "connect without authority", send: ask(":method", "CONNECT"), want: malformed},
	{name: "connect with host for authority", send: ask(":method", "CONNECT", "host", "a:443"), want: malformed},
	{name: "connect with an empty path", send: ask(":method", "CONNECT", ":authority", "a:443", ":path", ""), want: malformed,
		theirs: ok, why: "x/net does not tell an empty :path from none"},
	{name: "extended connect", rfc: `On requests that contain the :protocol pseudo-header field, the :scheme and :path pseudo-header fields of the target URI ... MUST also be included.`,
		send: ask(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/"), want: ok,
		theirs: malformed, why: "x/net has extended CONNECT switched off"},
	{name: "extended connect without path", send: ask(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a"), want: malformed},
	{name: "extended connect without scheme", send: ask(":method", "CONNECT", ":protocol", "websocket", ":authority", "a", ":path", "/"), want: malformed},
	{name: "protocol without connect", send: ask(":method", "GET", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "protocol that is no token", send: ask(":method", "CONNECT", ":protocol", "web socket", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},
	{name: "empty protocol", send: ask(":method", "CONNECT", ":protocol", "", ":scheme", "https", ":authority", "a", ":path", "/"), want: malformed},

	{name: "length without content", rfc: "A request or response is also malformed if the value of a Content-Length header field does not equal the sum of the DATA frame payload lengths that form the content",
		send: ask(post("content-length", "1")...), want: malformed, theirs: ok, why: "x/net looks at Content-Length only where DATA may follow"},
	{name: "length 0 without content", send: ask(post("content-length", "0")...), want: ok},
	{name: "length twice", send: ask(post("content-length", "0", "content-length", "0")...), want: malformed, theirs: ok, why: "x/net looks at the first"},
	{name: "lengths differ", send: func(c *script) {
		c.open(1, post("content-length", "5", "content-length", "6")...)
		c.dataEnd(1, 5)
	}, want: malformed, theirs: ok, why: "x/net looks at the first"},
	{name: "length with a sign", send: ask(post("content-length", "+0")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
	{name: "length in hex", send: ask(post("content-length", "0x0")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
	{name: "length list", send: ask(post("content-length", "0, 0")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
	{name: "length empty", send: ask(post("content-length", "")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
	{name: "negative length", send: ask(post("content-length", "-1")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
	{name: "huge length", send: ask(post("content-length", "99999999999999999999")...), want: malformed, theirs: ok, why: "x/net takes what it cannot read for 0"},
}

// contentCases are about DATA and trailers.
var contentCases = []testCase{
	{name: "content", send: func(c *script) { c.open(1, post()...); c.data(1, 5); c.dataEnd(1, 5) }, want: ok},
	{name: "content of the declared length", send: func(c *script) {
		c.open(1, post("content-length", "10")...)
		c.data(1, 5)
		c.dataEnd(1, 5)
	}, want: ok},
	{name: "empty DATA ends", send: func(c *script) { c.open(1, post("content-length", "5")...); c.data(1, 5); c.dataEnd(1, 0) }, want: ok},
	{name: "too much", send: func(c *script) { c.open(1, post("content-length", "5")...); c.dataEnd(1, 6) }, want: malformed},
	{name: "too much in two", send: func(c *script) { c.open(1, post("content-length", "5")...); c.data(1, 3); c.data(1, 3) }, want: malformed},
	{name: "too little", send: func(c *script) { c.open(1, post("content-length", "5")...); c.dataEnd(1, 4) }, want: malformed,
		theirs: "1=RST(INTERNAL_ERROR)", why: "x/net fails the handler's Read and leaves the rest to it"},
	{name: "too little before trailers", send: func(c *script) {
		c.open(1, post("content-length", "5")...)
		c.data(1, 4)
		c.ask(1, "x", "1")
	}, want: malformed, theirs: "1=RST(INTERNAL_ERROR)", why: "x/net fails the handler's Read and leaves the rest to it"},
	{name: "something where 0 was declared", send: func(c *script) { c.open(1, post("content-length", "0")...); c.dataEnd(1, 1) }, want: "1=200RST(PROTOCOL_ERROR)",
		theirs: malformed, why: "the handler has answered here before the content came: no content was declared"},
	{name: "padded", send: func(c *script) {
		c.open(1, post("content-length", "2")...)
		c.raw(frameData, flagPadded|flagEndStream, 1, 3, 'a', 'b', 0, 0, 0)
	}, want: ok},
	{name: "padding alone", send: func(c *script) {
		c.open(1, post("content-length", "0")...)
		c.raw(frameData, flagPadded|flagEndStream, 1, 3, 0, 0, 0)
	}, want: ok},
	{name: "padding of none", send: func(c *script) {
		c.open(1, post("content-length", "1")...)
		c.raw(frameData, flagPadded|flagEndStream, 1, 0, 'a')
	}, want: ok},
	{name: "padding is no content", send: func(c *script) {
		c.open(1, post("content-length", "4")...)
		c.raw(frameData, flagPadded|flagEndStream, 1, 3, 'a', 0, 0, 0)
	}, want: malformed, theirs: "1=RST(INTERNAL_ERROR)", why: "x/net fails the handler's Read and leaves the rest to it"},
	{name: "padding too long", rfc: "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.open(1, post()...); c.raw(frameData, flagPadded, 1, 3, 0, 0) }, want: protocol},
	{name: "padding as long as the rest", send: func(c *script) { c.open(1, post()...); c.raw(frameData, flagPadded|flagEndStream, 1, 2, 0, 0) }, want: ok},
	{name: "no pad length", send: func(c *script) { c.open(1, post()...); c.raw(frameData, flagPadded, 1) }, want: frameSize,
		theirs: "", why: "x/net takes it for the end of the connection and closes without GOAWAY"},
	{name: "unknown flags", rfc: "Flags that have no defined semantics for a particular frame type MUST be ignored",
		send: func(c *script) { c.open(1, post()...); c.raw(frameData, 0xf6|flagEndStream, 1, 'a') }, want: ok},

	{name: "trailers", send: func(c *script) { c.open(1, post()...); c.data(1, 5); c.ask(1, "x-sum", "1") }, want: ok},
	{name: "trailers without content", send: func(c *script) { c.open(1, post()...); c.ask(1, "x-sum", "1") }, want: ok},
	{name: "empty trailers", send: func(c *script) { c.open(1, post()...); c.ask(1) }, want: ok},
	{name: "trailers without end", rfc: "An endpoint that receives a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that opens a request or after receiving a final (non-informational) status code MUST treat the corresponding request or response as malformed",
		send: func(c *script) { c.open(1, post()...); c.open(1, "x-sum", "1") }, want: malformed},
	{name: "pseudo-field in trailers", rfc: "Pseudo-header fields MUST NOT appear in a trailer section.",
		send: func(c *script) { c.open(1, post()...); c.ask(1, ":method", "GET") }, want: malformed},
	{name: "upper-case name in trailers", send: func(c *script) { c.open(1, post()...); c.ask(1, "X-Sum", "1") }, want: malformed},
	{name: "lf in trailers", send: func(c *script) { c.open(1, post()...); c.ask(1, "x", "a\nb") }, want: malformed},
	{name: "connection in trailers", send: func(c *script) { c.open(1, post()...); c.ask(1, "connection", "close") }, want: malformed,
		theirs: ok, why: "x/net drops it from trailers"},
	{name: "host in trailers", send: func(c *script) { c.open(1, post()...); c.ask(1, "host", "b") }, want: ok},
	{name: "content-length in trailers", send: func(c *script) { c.open(1, post()...); c.ask(1, "content-length", "9") }, want: ok},
	{name: "trailers twice", send: func(c *script) { c.open(1, post()...); c.ask(1, "x", "1"); c.ask(1, "x", "1") }, want: closed,
		theirs: "1=RST(STREAM_CLOSED)|1=200RST(STREAM_CLOSED)|" + protocol, why: "see HEADERS behind the end"},
}

// allCases are all of them, each with the name of its table.
func allCases() map[string][]testCase {
	return map[string][]testCase{
		"fields": fieldCases, "content": contentCases, "streams": streamCases, "frames": frameCases, "compression": compressionCases, "begin": beginCases,
	}
}

// wire returns what the client of a case sends.
func (tc *testCase) wire() []byte {
	c := newScript()
	if !tc.bare {
		c.hello()
	}
	tc.send(c)
	return c.Bytes()
}
