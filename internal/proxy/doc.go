// Package proxy asks upstream servers: an HTTP/1.1 client with a pool of keep-alive connections of its own, and HTTP/2 where a
// server picks it in the handshake.
//
// A Server is one address. A Call is one request under way, which can be ended from any goroutine. Do sends the request and
// returns with the header section of the answer; content goes through as it comes, both ways at once where need be.
//
// What is sent is checked again before a byte is written, and what comes is read by a strict parser: where RFC 9112 leaves a
// recipient the choice between repairing a message and refusing it, it is refused, since the next parser may repair it in
// another way. Framing is never guessed: a connection on which anything was out of the ordinary carries no second request.
package proxy
