// Package message is the one form in which requests and answers travel through the gateway, whatever protocol they came by
// and whichever they leave by. It is data: who reads and who writes is said by the interfaces, and neither knows the other.
package message

import (
	"errors"
	"io"
)

// A Request is the header section of a request, and its content. Who made it may use it again when the request has ended, so
// nothing of it is kept for longer; the strings themselves are never changed.
type Request struct {
	Method string
	// Scheme is as the client sent it: the pseudo-field :scheme, or what an absolute-form target begins with. Empty: the
	// protocol has none (HTTP/1.1 in origin-form).
	Scheme string
	// Authority is as the client sent it: :authority, else Host, or what an absolute-form target names. It is not checked.
	Authority string
	// Hosts are the Host fields that came beside :authority. Over HTTP/1.1 there are none: Host is the Authority.
	Hosts []string
	// Target is the path with the query as the client sent it, or "*".
	Target string
	// Protocol is what an extended CONNECT (RFC 8441 section 4) or a field Upgrade of HTTP/1.1 asks for, in lower case; else empty.
	Protocol string
	// Fields are the others: without pseudo-fields, without Host, without fields that are about the connection alone (HopByHop),
	// but for "te: trailers", and without Content-Length, which is Length. Several cookie fields are one (RFC 9113 section 8.2.3).
	// Trailer is among them only where trailers may follow the content.
	Fields Fields
	// Length is how long the content is: 0 for none, -1 where it is not known beforehand.
	Length int64
	// Body is the content; nil where Length is 0.
	Body Body
	// Major is the version of HTTP by which the request came: 1, 2 or 3. Minor matters to HTTP/1 alone.
	Major, Minor int
}

// A Body is the content of a message. It is read by one goroutine at a time.
type Body interface {
	// Read is io.Reader's. io.EOF says that the content came to its proper end; any other error that it broke off.
	io.Reader
	// Stop makes a Read that waits, and every later one, return an error. It may be called from another goroutine, more than once.
	// Whoever reads a Body in a goroutine of their own stops it and waits for that goroutine before they report that they are done
	// with the message: it is used again afterwards.
	Stop()
	// Trailers are the fields behind the content, complete once Read has returned io.EOF; they are nil before.
	Trailers() Fields
}

// A Responder takes the answer to one request. Its methods are called one after the other: Last at any time before Respond, Inform as often as needed, Respond,
// Write and Flush as often as needed, and Finish; Abort ends it at any point. What it is given may be used again by the caller
// when the call has returned.
//
// A method that fails because the client is gone returns an error, and so do all that follow; the caller gives up then and
// need not call Abort.
type Responder interface {
	// Inform sends an interim answer (1xx), which is not 101.
	Inform(status int, fields Fields) error
	// Last says that the connection is to end gracefully with this answer: other requests that are under way on it are still
	// answered.
	Last()
	// Respond sends the header section. With end no content follows, and neither Write nor Finish is called.
	Respond(status int, fields Fields, end bool) error
	// Write sends content. It may wait for the client, within the server's limits. What it takes may stay in a buffer until
	// Flush or Finish.
	Write(p []byte) (int, error)
	// Flush sends what waits in buffers.
	Flush() error
	// Finish says that the content is complete. The trailers may be nil.
	Finish(trailers Fields) error
	// Abort breaks the answer off so that the client notices: a stream error, or the end of the connection.
	Abort()
	// Tunnel answers that the protocol asked for is spoken from here on: 101 over HTTP/1.1, 200 to an extended CONNECT
	// (RFC 8441 section 5). It takes the place of Respond. Closing the tunnel ends the exchange.
	Tunnel(fields Fields) (io.ReadWriteCloser, error)
}

// ErrGone says that the client has given the request up, or that its connection is gone.
var ErrGone = errors.New("the client is gone")

// ErrStopped is what reading a Body returns that was stopped.
var ErrStopped = errors.New("the content is not wanted any more")

// ErrBodyTimeout says that the client has sent nothing of its content for too long.
var ErrBodyTimeout = errors.New("the client sends its content too slowly")
