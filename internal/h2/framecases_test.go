package h2

// streamCases are about the states of streams (RFC 9113 section 5.1).
var streamCases = []testCase{
	{name: "two requests", send: func(c *script) { c.ask(1, get()...); c.ask(3, get()...) }, want: "1=200 3=200"},
	{name: "numbers left out", send: func(c *script) { c.ask(5, get()...); c.ask(77, get()...) }, want: "5=200 77=200"},
	{name: "even number", rfc: "Streams initiated by a client MUST use odd-numbered stream identifiers",
		send: func(c *script) { c.ask(2, get()...) }, want: protocol},
	{name: "number 0", rfc: "If a HEADERS frame is received whose Stream Identifier field is 0x00, the recipient MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.ask(0, get()...) }, want: protocol},
	{name: "smaller number", rfc: "The identifier of a newly established stream MUST be numerically greater than all streams that the initiating endpoint has opened or reserved. ... An endpoint that receives an unexpected stream identifier MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.ask(5, get()...); c.ask(3, get()...) }, want: protocol},
	{name: "reserved bit", rfc: "Reserved: ... The semantics of this bit are undefined, and the bit MUST remain unset (0x00) when sending and MUST be ignored when receiving.",
		send: func(c *script) { c.ask(1<<31|1, get()...) }, want: ok},
	{name: "highest number", send: func(c *script) { c.ask(maxStreamID, get()...) }, want: "2147483647=200"},

	{name: "DATA on idle", rfc: "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.data(1, 5) }, want: protocol},
	{name: "DATA on 0", send: func(c *script) { c.data(0, 5) }, want: protocol},
	{name: "DATA on even", send: func(c *script) { c.ask(3, get()...); c.data(2, 5) }, want: protocol},
	{name: "DATA on a number left out", send: func(c *script) { c.ask(5, get()...); c.data(3, 5) }, want: "3=RST(STREAM_CLOSED) 5=200"},
	{name: "RST_STREAM on idle", rfc: "RST_STREAM frames MUST NOT be sent for a stream in the \"idle\" state. If a RST_STREAM frame identifying an idle stream is received, the recipient MUST treat this as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.number(frameReset, 1, 8) }, want: protocol},
	{name: "RST_STREAM on 0", send: func(c *script) { c.number(frameReset, 0, 8) }, want: protocol},
	{name: "RST_STREAM on a number left out", send: func(c *script) { c.ask(5, get()...); c.number(frameReset, 3, 8) }, want: "5=200"},
	{name: "WINDOW_UPDATE on idle", send: func(c *script) { c.number(frameWindowUpdate, 1, 8) }, want: protocol},
	{name: "PRIORITY on idle", send: func(c *script) { c.raw(framePriority, 0, 1, priority(0)...); c.ask(1, get()...) }, want: ok},
	{name: "CONTINUATION on idle", send: func(c *script) { c.raw(frameContinuation, flagEndHeaders, 1) }, want: protocol},

	{name: "DATA behind the end", rfc: "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or RST_STREAM, for a stream that is in this state, it MUST respond with a stream error (Section 5.4.2) of type STREAM_CLOSED.",
		send: func(c *script) { c.ask(1, get()...); c.data(1, 5) }, want: "1=200RST(STREAM_CLOSED)",
		theirs: "1=RST(STREAM_CLOSED)|1=200RST(STREAM_CLOSED)", why: "its handler runs beside the reading: whether the answer comes first is chance"},
	{name: "HEADERS behind the end", send: func(c *script) { c.ask(1, get()...); c.ask(1, get()...) }, want: closed,
		theirs: "1=RST(STREAM_CLOSED)|1=200RST(STREAM_CLOSED)|" + protocol, why: "see DATA behind the end; where the stream is closed already, x/net ends the connection"},
	{name: "DATA twice behind the end", send: func(c *script) { c.ask(1, get()...); c.data(1, 5); c.data(1, 5) }, want: "1=200RST(STREAM_CLOSED)",
		theirs: "1=RST(STREAM_CLOSED)|1=RST(STREAM_CLOSED)RST(STREAM_CLOSED)|1=200RST(STREAM_CLOSED)|1=200RST(STREAM_CLOSED)RST(STREAM_CLOSED)", why: "see DATA behind the end; one RST_STREAM says it"},
	{name: "WINDOW_UPDATE behind the end", send: func(c *script) { c.ask(1, get()...); c.number(frameWindowUpdate, 1, 8) }, want: ok},
	{name: "PRIORITY behind the end", send: func(c *script) { c.ask(1, get()...); c.raw(framePriority, 0, 1, priority(0)...) }, want: ok},
	{name: "RST_STREAM behind the end", send: func(c *script) { c.ask(1, get()...); c.ask(3, get()...); c.number(frameReset, 1, 8) }, want: "1=200 3=200",
		theirs: "3=200|1=200 3=200", why: "see DATA behind the end"},
	{name: "client resets", send: func(c *script) { c.open(1, post()...); c.number(frameReset, 1, 8); c.ask(3, get()...) }, want: "3=200"},
	{name: "DATA after the client's reset", send: func(c *script) { c.open(1, post()...); c.number(frameReset, 1, 8); c.data(1, 5) }, want: "1=RST(STREAM_CLOSED)"},
	{name: "HEADERS after the client's reset", send: func(c *script) { c.open(1, post()...); c.number(frameReset, 1, 8); c.ask(1, "x", "y") }, want: closed,
		theirs: protocol, why: "x/net takes it for a number that was gone past"},
	{name: "RST_STREAM twice", send: func(c *script) {
		c.open(1, post()...)
		c.number(frameReset, 1, 8)
		c.number(frameReset, 1, 8)
		c.ask(3, get()...)
	}, want: "3=200"},
	{name: "WINDOW_UPDATE after the client's reset", send: func(c *script) {
		c.open(1, post()...)
		c.number(frameReset, 1, 8)
		c.number(frameWindowUpdate, 1, 8)
		c.ask(3, get()...)
	}, want: "3=200"},
	{name: "frames after our reset", rfc: "An endpoint that sends a RST_STREAM frame on a stream that is in the \"open\" or \"half-closed (local)\" state could receive any type of frame. ... An endpoint MUST minimally process and then discard any frames it receives in this state.",
		send: func(c *script) {
			c.open(1, "x", "1")
			c.data(1, 5)
			c.number(frameWindowUpdate, 1, 8)
			c.ask(1, "x-sum", "1")
			c.number(frameReset, 1, 8)
			c.ask(3, get()...)
		}, want: "1=RST(PROTOCOL_ERROR) 3=200", theirs: "1=RST(PROTOCOL_ERROR) 3=200|" + protocol,
		why: "x/net ends the connection where its RST_STREAM went out before the HEADERS came: chance"},
	{name: "table kept right by a refused section", rfc: "This means updating header compression state for HEADERS and PUSH_PROMISE frames.",
		send: func(c *script) {
			c.open(1, "X", "1", "x-kept", "in the table")
			c.ask(1, "x-late", "in the table too")
			c.ask(3, get("x-kept", "in the table", "x-late", "in the table too")...)
		}, want: "1=RST(PROTOCOL_ERROR) 3=200",
		theirs: "1=RST(PROTOCOL_ERROR)RST(PROTOCOL_ERROR) 3=200", why: "one RST_STREAM says it"},
}

// frameCases are about single frames (RFC 9113 section 4 and 6).
var frameCases = []testCase{
	{name: "unknown frame", rfc: "Implementations MUST ignore and discard frames of unknown types.",
		send: func(c *script) { c.raw(0xfa, 0xff, 0, 1, 2, 3); c.raw(0xfb, 0, 9); c.ask(1, get()...) }, want: ok},
	{name: "ALTSVC and ORIGIN from a client", send: func(c *script) { c.raw(0xa, 0, 0, 0, 0); c.raw(0xc, 0, 0, 0, 1, 'a'); c.ask(1, get()...) }, want: ok},
	{name: "long frame", rfc: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in SETTINGS_MAX_FRAME_SIZE",
		send: func(c *script) { c.open(1, post()...); c.data(1, maxFrame+1) }, want: frameSize,
		theirs: "", why: "x/net allows frames of 1 MiB, and waits here for the end"},
	{name: "long unknown frame", send: func(c *script) { c.raw(0xfa, 0, 0, make([]byte, maxFrame+1)...) }, want: frameSize, theirs: "", why: "x/net allows frames of 1 MiB"},
	{name: "longest frame", rfc: "All implementations MUST be capable of receiving and minimally processing frames up to 2^14 octets in length",
		send: func(c *script) { c.open(1, post()...); c.data(1, maxFrame); c.dataEnd(1, maxFrame) }, want: ok},

	{name: "PING on a stream", rfc: "If a PING frame is received with a Stream Identifier field value other than 0x00, the recipient MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.ask(1, get()...); c.raw(framePing, 0, 1, make([]byte, 8)...) }, want: protocol},
	{name: "short PING", rfc: "Receipt of a PING frame with a length field value other than 8 MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.raw(framePing, 0, 0, make([]byte, 7)...) }, want: frameSize},
	{name: "long PING", send: func(c *script) { c.raw(framePing, 0, 0, make([]byte, 9)...) }, want: frameSize},
	{name: "PING ack unasked", send: func(c *script) { c.raw(framePing, flagAck, 0, make([]byte, 8)...); c.ask(1, get()...) }, want: ok},

	{name: "short RST_STREAM", rfc: "A RST_STREAM frame with a length other than 4 octets MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.open(1, post()...); c.raw(frameReset, 0, 1, 0, 0, 0) }, want: frameSize},
	{name: "long RST_STREAM", send: func(c *script) { c.open(1, post()...); c.raw(frameReset, 0, 1, 0, 0, 0, 8, 0) }, want: frameSize},

	{name: "PRIORITY", send: func(c *script) { c.ask(1, get()...); c.raw(framePriority, 0, 3, priority(1)...); c.ask(3, get()...) }, want: "1=200 3=200"},
	{name: "PRIORITY on 0", rfc: "If a PRIORITY frame is received with a stream identifier of 0x00, the recipient MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.raw(framePriority, 0, 0, priority(1)...) }, want: protocol},
	{name: "short PRIORITY", rfc: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error (Section 5.4.2) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.open(1, post()...); c.raw(framePriority, 0, 1, 0, 0, 0, 0); c.ask(3, get()...) }, want: "1=RST(FRAME_SIZE_ERROR) 3=200",
		theirs: frameSize, why: "x/net ends the connection, as RFC 7540 asked"},
	{name: "short PRIORITY on idle", send: func(c *script) { c.raw(framePriority, 0, 1, 0, 0, 0, 0) }, want: frameSize},
	{name: "PRIORITY of itself", send: func(c *script) { c.open(1, post()...); c.raw(framePriority, 0, 1, priority(1)...) }, want: malformed},
	{name: "HEADERS with priority", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPriority, 1, append(priority(0), c.block(get()...)...)...)
	}, want: ok},
	{name: "HEADERS depending on itself", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPriority, 1, append(priority(1), c.block(get()...)...)...)
		c.ask(3, get()...)
	}, want: "1=RST(PROTOCOL_ERROR) 3=200"},
	{name: "HEADERS too short for its priority", send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagPriority, 1, 0, 0, 0, 0) }, want: frameSize,
		theirs: "", why: "x/net takes it for the end of the connection and closes without GOAWAY"},
	{name: "HEADERS padded", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPadded, 1, append(append([]byte{2}, c.block(get()...)...), 0, 0)...)
	}, want: ok},
	{name: "HEADERS padded, with priority", send: func(c *script) {
		p := append([]byte{2}, priority(0)...)
		c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPadded|flagPriority, 1, append(append(p, c.block(get()...)...), 0, 0)...)
	}, want: ok},
	{name: "HEADERS padding too long", rfc: "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a connection error",
		send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPadded, 1, 9, 0x82, 0x84) }, want: protocol,
		theirs: malformed, why: "x/net resets the stream"},
	{name: "HEADERS padding too long by one", send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPadded, 1, 3, 0x82, 0x84) }, want: protocol,
		theirs: malformed, why: "x/net resets the stream"},
	{name: "HEADERS without pad length", send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPadded, 1) }, want: frameSize,
		theirs: "", why: "x/net takes it for the end of the connection and closes without GOAWAY"},

	{name: "PUSH_PROMISE", rfc: "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.open(1, post()...); c.raw(framePushPromise, flagEndHeaders, 1, 0, 0, 0, 2) }, want: protocol},
	{name: "GOAWAY", send: func(c *script) { c.raw(frameGoAway, 0, 0, make([]byte, 8)...); c.ask(1, get()...) }, want: ok,
		theirs: "", why: "x/net serves no streams that a client begins after its GOAWAY; RFC 9113 section 6.8 does not forbid them"},
	{name: "GOAWAY with debug data", send: func(c *script) { c.raw(frameGoAway, 0, 0, make([]byte, 80)...); c.ask(1, get()...) }, want: ok,
		theirs: "", why: "see GOAWAY"},
	{name: "short GOAWAY", send: func(c *script) { c.raw(frameGoAway, 0, 0, make([]byte, 7)...) }, want: frameSize},
	{name: "GOAWAY on a stream", rfc: "An endpoint MUST treat a GOAWAY frame with a stream identifier other than 0x00 as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.raw(frameGoAway, 0, 1, make([]byte, 8)...) }, want: protocol},

	{name: "WINDOW_UPDATE", send: func(c *script) {
		c.open(1, post()...)
		c.number(frameWindowUpdate, 0, 5)
		c.number(frameWindowUpdate, 1, 5)
		c.dataEnd(1, 1)
	}, want: ok},
	{name: "short WINDOW_UPDATE", rfc: "A WINDOW_UPDATE frame with a length other than 4 octets MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.raw(frameWindowUpdate, 0, 0, 0, 0, 1) }, want: frameSize},
	{name: "WINDOW_UPDATE of 0", rfc: "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0 as a stream error (Section 5.4.2) of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated as a connection error",
		send: func(c *script) { c.open(1, post()...); c.number(frameWindowUpdate, 1, 0); c.ask(3, get()...) }, want: "1=RST(PROTOCOL_ERROR) 3=200"},
	{name: "WINDOW_UPDATE of 0 on the connection", send: func(c *script) { c.number(frameWindowUpdate, 0, 0) }, want: protocol},
	{name: "WINDOW_UPDATE with the reserved bit", send: func(c *script) { c.number(frameWindowUpdate, 0, 1<<31|5); c.ask(1, get()...) }, want: ok},
	{name: "connection window overflows", rfc: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets. If a sender receives a WINDOW_UPDATE that causes a flow-control window to exceed this maximum, it MUST terminate either the stream or the connection, as appropriate. For streams, the sender sends a RST_STREAM with an error code of FLOW_CONTROL_ERROR; for the connection, a GOAWAY frame with an error code of FLOW_CONTROL_ERROR is sent.",
		send: func(c *script) { c.number(frameWindowUpdate, 0, maxWindow-defaultWindow+1) }, want: flow},
	{name: "connection window full", send: func(c *script) { c.number(frameWindowUpdate, 0, maxWindow-defaultWindow); c.ask(1, get()...) }, want: ok},
	{name: "stream window overflows", send: func(c *script) {
		c.open(1, post()...)
		c.number(frameWindowUpdate, 1, maxWindow)
		c.ask(3, get()...)
	}, want: "1=RST(FLOW_CONTROL_ERROR) 3=200"},

	{name: "SETTINGS on a stream", rfc: "If an endpoint receives a SETTINGS frame whose Stream Identifier field is anything other than 0x00, the endpoint MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.raw(frameSettings, 0, 1) }, want: protocol},
	{name: "SETTINGS of a bad length", rfc: "A SETTINGS frame with a length other than a multiple of 6 octets MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.raw(frameSettings, 0, 0, 0, 3, 0, 0, 0) }, want: frameSize},
	{name: "SETTINGS ack with a payload", rfc: "Receipt of a SETTINGS frame with the ACK flag set and a length field value other than 0 MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR.",
		send: func(c *script) { c.raw(frameSettings, flagAck, 0, 0, 3, 0, 0, 0, 1) }, want: frameSize},
	{name: "SETTINGS ack unasked", send: func(c *script) { c.raw(frameSettings, flagAck, 0) }, want: protocol},
	{name: "unknown setting", rfc: "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore that setting.",
		send: func(c *script) { c.setting(0xfafa, 0xffffffff); c.ask(1, get()...) }, want: ok},
	{name: "ENABLE_PUSH 2", rfc: "Any value other than 0 or 1 MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.setting(settingEnablePush, 2) }, want: protocol},
	{name: "ENABLE_PUSH 1", send: func(c *script) { c.setting(settingEnablePush, 1); c.ask(1, get()...) }, want: ok},
	{name: "INITIAL_WINDOW_SIZE too large", rfc: "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a connection error (Section 5.4.1) of type FLOW_CONTROL_ERROR.",
		send: func(c *script) { c.setting(settingInitialWindowSize, 1<<31) }, want: flow},
	{name: "INITIAL_WINDOW_SIZE largest", send: func(c *script) { c.setting(settingInitialWindowSize, maxWindow); c.ask(1, get()...) }, want: ok},
	{name: "INITIAL_WINDOW_SIZE overflows an open stream", rfc: "An endpoint MUST treat a change to SETTINGS_INITIAL_WINDOW_SIZE that causes any flow-control window to exceed the maximum size as a connection error (Section 5.4.1) of type FLOW_CONTROL_ERROR.",
		send: func(c *script) {
			c.open(1, post()...)
			c.number(frameWindowUpdate, 1, 1)
			c.setting(settingInitialWindowSize, maxWindow)
		}, want: flow, theirs: "", why: "x/net keeps the windows of streams relative to the first one, and does not notice"},
	{name: "a setting twice", rfc: "The values in the SETTINGS frame MUST be processed in the order they appear, with no other frame processing between values.",
		send: func(c *script) {
			c.raw(frameSettings, 0, 0, appendSetting(appendSetting(nil, settingInitialWindowSize, 0), settingInitialWindowSize, 5)...)
			c.ask(1, get()...)
		}, want: ok, theirs: protocol, why: "x/net refuses frames with a setting twice"},
	{name: "MAX_FRAME_SIZE too small", rfc: "The value advertised by an endpoint MUST be between this initial value and the maximum allowed frame size (2^24-1 or 16,777,215 octets), inclusive. Values outside this range MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.setting(settingMaxFrameSize, 16383) }, want: protocol},
	{name: "MAX_FRAME_SIZE too large", send: func(c *script) { c.setting(settingMaxFrameSize, 1<<24) }, want: protocol},
	{name: "MAX_FRAME_SIZE bounds", send: func(c *script) {
		c.setting(settingMaxFrameSize, 16384)
		c.setting(settingMaxFrameSize, 1<<24-1)
		c.ask(1, get()...)
	}, want: ok},
	{name: "ENABLE_CONNECT_PROTOCOL 2", send: func(c *script) { c.setting(settingEnableConnect, 2) }, want: protocol},
	{name: "NO_RFC7540_PRIORITIES 2", rfc: "Any value other than 0 or 1 MUST be treated as a connection error (see Section 5.4.1 of [HTTP/2]) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.setting(settingNoPriorities, 2) }, want: protocol},
	{name: "MAX_CONCURRENT_STREAMS 0", send: func(c *script) { c.setting(settingMaxConcurrentStreams, 0); c.ask(1, get()...) }, want: ok},
	{name: "HEADER_TABLE_SIZE 0", send: func(c *script) { c.setting(settingHeaderTableSize, 0); c.ask(1, get()...) }, want: ok},
	{name: "HEADER_TABLE_SIZE large", send: func(c *script) { c.setting(settingHeaderTableSize, 1<<31); c.ask(1, get()...) }, want: ok},
	{name: "MAX_HEADER_LIST_SIZE 0", send: func(c *script) { c.setting(settingMaxHeaderListSize, 0); c.ask(1, get()...) }, want: ok},

	{name: "CONTINUATION", send: func(c *script) {
		b := c.block(get()...)
		c.raw(frameHeaders, flagEndStream, 1, b[:3]...)
		c.raw(frameContinuation, 0, 1, b[3:5]...)
		c.raw(frameContinuation, flagEndHeaders, 1, b[5:]...)
	}, want: ok},
	{name: "CONTINUATION of nothing", send: func(c *script) {
		c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
		c.raw(frameContinuation, flagEndHeaders, 1)
	}, want: ok},
	{name: "CONTINUATION without HEADERS", rfc: "A CONTINUATION frame MUST be preceded by a HEADERS, PUSH_PROMISE or CONTINUATION frame without the END_HEADERS flag set. A recipient that observes violation of this rule MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) { c.ask(1, get()...); c.raw(frameContinuation, flagEndHeaders, 1) }, want: protocol},
	{name: "CONTINUATION on another stream", send: func(c *script) {
		c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
		c.raw(frameContinuation, flagEndHeaders, 3)
	}, want: protocol},
	{name: "CONTINUATION on 0", send: func(c *script) {
		c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
		c.raw(frameContinuation, flagEndHeaders, 0)
	}, want: protocol},
	{name: "section interrupted", rfc: "Any number of CONTINUATION frames can be sent, as long as the preceding frame is on the same stream and is a HEADERS, PUSH_PROMISE, or CONTINUATION frame without the END_HEADERS flag set.",
		send: func(c *script) {
			c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
			c.raw(framePing, 0, 0, make([]byte, 8)...)
		}, want: protocol},
	{name: "section interrupted by an unknown frame", rfc: "extension frames that appear in the middle of a field block (Section 4.3) are not permitted; these MUST be treated as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		send: func(c *script) {
			c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
			c.raw(0xfa, 0, 1)
		}, want: protocol},
	{name: "section interrupted by another", send: func(c *script) {
		c.raw(frameHeaders, flagEndStream, 1, c.block(get()...)...)
		c.ask(3, get()...)
	}, want: protocol},

	{name: "PRIORITY_UPDATE", send: func(c *script) { c.raw(framePriorityUpdate, 0, 0, 0, 0, 0, 1, 'u', '=', '0'); c.ask(1, get()...) }, want: ok},
	{name: "PRIORITY_UPDATE on a stream", rfc: "The Stream Identifier ... MUST be zero (0x0). Receiving a PRIORITY_UPDATE frame with a field of any other value MUST be treated as a connection error of type PROTOCOL_ERROR.",
		send: func(c *script) { c.raw(framePriorityUpdate, 0, 1, 0, 0, 0, 1) }, want: protocol},
	{name: "PRIORITY_UPDATE for 0", rfc: "If a PRIORITY_UPDATE frame is received with a Prioritized Stream ID of 0x0, the recipient MUST respond with a connection error of type PROTOCOL_ERROR.",
		send: func(c *script) { c.raw(framePriorityUpdate, 0, 0, 0, 0, 0, 0, 'u', '=', '0') }, want: protocol},
	{name: "short PRIORITY_UPDATE", send: func(c *script) { c.raw(framePriorityUpdate, 0, 0, 0, 0, 0) }, want: frameSize},
	{name: "PRIORITY_UPDATE that says nothing", send: func(c *script) {
		c.raw(framePriorityUpdate, 0, 0, append([]byte{0, 0, 0, 1}, "u=9,,"...)...)
		c.ask(1, get()...)
	}, want: ok},
}

// compressionCases are about HPACK (RFC 7541).
var compressionCases = []testCase{
	{name: "index 0", rfc: "The index value of 0 is not used. It MUST be treated as a decoding error if found in an indexed header field representation.",
		send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x80) }, want: compression},
	{name: "index past the table", rfc: "Indices strictly greater than the sum of the lengths of both tables MUST be treated as a decoding error.",
		send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0xbe) }, want: compression},
	{name: "name index past the table", send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x7e, 1, 'a') }, want: compression},
	{name: "integer without end", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}, want: compression},
	{name: "section cut off", send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x82, 0x40, 5, 'a') }, want: compression},
	{name: "table larger than allowed", rfc: "The new maximum size MUST be lower than or equal to the limit determined by the protocol using HPACK. A value that exceeds this limit MUST be treated as a decoding error.",
		send: func(c *script) {
			c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, append(appendInt(nil, 0x20, 5, 4097), c.block(get()...)...)...)
		}, want: compression},
	{name: "table as large as allowed", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, append(appendInt(nil, 0x20, 5, 4096), c.block(get()...)...)...)
	}, want: ok},
	{name: "table of none", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, append([]byte{0x20}, c.block(":method", "GET", ":scheme", "https", ":path", "/")...)...)
	}, want: ok},
	{name: "table size behind a field", rfc: "This dynamic table size update MUST occur at the beginning of the first header block following the change to the dynamic table size.",
		send: func(c *script) {
			c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, append(c.block(get()...), 0x3f, 0xe1, 0x1f)...)
		}, want: compression},
	{name: "huffman padding too long", rfc: "A padding strictly longer than 7 bits MUST be treated as a decoding error.",
		send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x40, 1, 'a', 0x82, 0x1f, 0xff) }, want: compression},
	{name: "huffman padding of zeros", rfc: "A padding not corresponding to the most significant bits of the code for the EOS symbol MUST be treated as a decoding error.",
		send: func(c *script) { c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x40, 1, 'a', 0x81, 0x18) }, want: compression},
	{name: "huffman end of string", rfc: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error.",
		send: func(c *script) {
			c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x40, 1, 'a', 0x84, 0xff, 0xff, 0xff, 0xff)
		}, want: compression},
	{name: "decoding error in trailers", send: func(c *script) { c.open(1, post()...); c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x80) }, want: compression},
	{name: "decoding error on a closed stream", send: func(c *script) {
		c.open(1, "x", "1")
		c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, 0x80)
	}, want: compression},
	{name: "never indexed", send: func(c *script) {
		c.raw(frameHeaders, flagEndHeaders|flagEndStream, 1, append(c.block(get()...), 0x10, 1, 'a', 1, 'b')...)
	}, want: ok},
}

const compression = "GOAWAY(COMPRESSION_ERROR)"

// beginCases are about how a connection begins (RFC 9113 section 3.4).
var beginCases = []testCase{
	{name: "no SETTINGS", rfc: "That is, the connection preface ends with a SETTINGS frame ... This sequence MUST be followed by a SETTINGS frame (Section 6.5), which MAY be empty.",
		bare: true, send: func(c *script) { c.WriteString(clientPreface); c.ask(1, get()...) }, want: protocol},
	{name: "PING first", bare: true, send: func(c *script) { c.WriteString(clientPreface); c.raw(framePing, 0, 0, make([]byte, 8)...) }, want: protocol},
	{name: "acknowledgement first", bare: true, send: func(c *script) { c.WriteString(clientPreface); c.raw(frameSettings, flagAck, 0) }, want: protocol,
		theirs: "", why: "x/net lets an acknowledgement go for SETTINGS"},
	{name: "unknown frame first", bare: true, send: func(c *script) { c.WriteString(clientPreface); c.raw(0xfa, 0, 0) }, want: protocol},
	{name: "HTTP/1.1", rfc: "Clients and servers MUST treat an invalid connection preface as a connection error (Section 5.4.1) of type PROTOCOL_ERROR.",
		bare: true, send: func(c *script) { c.WriteString("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") }, want: protocol,
		theirs: "", why: "x/net closes without GOAWAY"},
	{name: "preface cut off", bare: true, send: func(c *script) { c.WriteString(clientPreface[:20]) }, want: ""},
	{name: "requests before the acknowledgement", bare: true, send: func(c *script) {
		c.WriteString(clientPreface)
		c.raw(frameSettings, 0, 0)
		c.ask(1, get()...)
	}, want: ok},
	{name: "settings with values", bare: true, send: func(c *script) {
		c.WriteString(clientPreface)
		c.raw(frameSettings, 0, 0, appendSetting(appendSetting(nil, settingEnablePush, 0), settingInitialWindowSize, 131072)...)
		c.ask(1, get()...)
	}, want: ok},
}
