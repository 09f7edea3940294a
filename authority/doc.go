// Package authority decides whether a connection may carry a request.
//
// A [Table] holds the sites of a server, a [Conn] what the handshake of a connection proved, a
// [Request] the scheme and authority that somebody asks for on it. [Table.Decide] answers with a
// [Verdict]: serve, misdirected (421), malformed (400), unknown (421 or 404) or redirect (308), each with
// a [Reason], one stable word. The rule behind it is RFC 9110 section 7.4: an https request must be rejected
// unless it came over a connection that is secured by a certificate valid for its origin.
//
// The package is pure: no network, no TLS, no clock, no goroutine, no log. Its test vectors
// (testdata/vectors.json) are meant for other implementations too.
package authority
