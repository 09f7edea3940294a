package proxy

import (
	"strconv"
	"strings"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// checkRequest is the last look at a request before it becomes bytes: nothing in it can end a line early, begin another, or say
// something about framing or the connection, which is said by the request's Length and Protocol alone. What has passed every
// check of the gateway passes here too; this is for the day when it does not.
func checkRequest(r *message.Request) error {
	switch {
	case !message.ValidToken(r.Method):
		return &RequestError{"method"}
	case r.Method == "CONNECT" && r.Protocol == "":
		return &RequestError{"CONNECT"}
	case r.Protocol != "" && !message.ValidToken(strings.ReplaceAll(r.Protocol, "/", "")):
		return &RequestError{"protocol"}
	case !message.ValidTarget(r.Target) || r.Target[0] != '/' && (r.Target != "*" || r.Method != "OPTIONS"):
		return &RequestError{"target"}
	case r.Authority == "" || !http1.ValidHost(r.Authority):
		return &RequestError{"authority"}
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !message.ValidName(f.Name) || !message.ValidValue(f.Value) {
			return &RequestError{"field " + strconv.Quote(f.Name)}
		} else if !sendable(f, r.Length) {
			return &RequestError{"field " + f.Name}
		}
	}
	return nil
}

// sendable reports whether a field may stand in a request as it is.
func sendable(f *message.Field, length int64) bool {
	switch f.Name {
	case "host":
		return false
	case "te":
		return f.Value == "trailers"
	case "trailer":
		return announcesWell(f)
	case "content-length": // it is not sent; but who says two things at once is not to be trusted
		n, ok := message.ParseLength(f.Value)
		return ok && n == length
	}
	return !message.HopByHop(f.Name)
}

// announcesWell reports whether a field Trailer has names of trailers and nothing else.
func announcesWell(f *message.Field) bool {
	for name := range strings.SplitSeq(f.Value, ",") {
		if name = strings.Trim(name, " "); !message.ValidName(name) || !http1.Trailing(name) {
			return false
		}
	}
	return true
}

// announces reports whether trailers may follow the content of a request.
func announces(r *message.Request) bool { return hasContent(r) && r.Fields.Has("trailer") }

// idempotent reports whether a request may be sent again although it may have been carried out (RFC 9110 section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// appendHead writes the header section of a request that checkRequest has passed. key is the Sec-WebSocket-Key of an extended
// CONNECT that becomes an Upgrade (RFC 8441 section 5 against RFC 6455 section 4.1); empty: none is needed.
func appendHead(b []byte, r *message.Request, key string) []byte {
	if r.Method == "CONNECT" {
		b = append(b, "GET"...)
	} else {
		b = append(b, r.Method...)
	}
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nhost: "...)
	b = append(b, r.Authority...)
	b = append(b, "\r\n"...)
	te := false
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Name == "content-length" || f.Name == "trailer" && !(hasContent(r) && r.Length < 0) {
			continue
		}
		te = te || f.Name == "te"
		b = http1.AppendLine(b, f.Name, f.Value)
	}
	switch {
	case r.Protocol != "" && te:
		b = append(b, "connection: upgrade, te\r\n"...)
	case r.Protocol != "":
		b = append(b, "connection: upgrade\r\n"...)
	case te: // RFC 9110 section 10.1.4
		b = append(b, "connection: te\r\n"...)
	}
	if r.Protocol != "" {
		b = http1.AppendLine(b, "upgrade", r.Protocol)
	}
	if key != "" {
		b = http1.AppendLine(b, "sec-websocket-key", key)
	}
	b = appendFraming(b, r)
	return append(b, "\r\n"...)
}

func appendFraming(b []byte, r *message.Request) []byte {
	switch {
	case tunnels(r):
		return b
	case !hasContent(r):
		if r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" { // RFC 9110 section 8.6
			b = append(b, "content-length: 0\r\n"...)
		}
		return b
	case r.Length < 0:
		return append(b, "transfer-encoding: chunked\r\n"...)
	}
	b = append(b, "content-length: "...)
	b = strconv.AppendInt(b, r.Length, 10)
	return append(b, "\r\n"...)
}

// tunnels reports whether what the request has for content is what the tunnel will carry, so that none is sent with it.
func tunnels(r *message.Request) bool { return r.Method == "CONNECT" }
