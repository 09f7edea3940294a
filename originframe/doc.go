// Package originframe reads and writes the payload of ORIGIN frames and keeps the Origin Set of a connection
// (RFC 8336 for HTTP/2, RFC 9412 for HTTP/3, which has the same payload).
//
// A server writes with [Append] or, with the HTTP/2 frame header, [AppendFrame]. A client asks [Accept] whether
// an HTTP/2 frame counts at all and hands its payload to [Set.Receive]. On HTTP/3 the frame counts on the server's
// control stream alone (RFC 9412 section 2), which its reader knows.
//
// An ORIGIN frame is a claim, no proof: a client still needs a certificate that is valid for the origin
// (RFC 8336 section 2.4). The package is pure: no network, no TLS, no clock, no goroutine, no log. Its golden
// bytes (testdata/vectors.json) are meant for other implementations too.
package originframe
