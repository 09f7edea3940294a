// Package http1 is the codec of HTTP/1.1 (RFC 9112): bytes in, messages out, and back. It does no I/O. It is stricter than the RFC
// asks: what two parsers are known to understand differently is refused, also where a recipient may repair it.
package http1

// An Error says why a message is refused.
type Error struct {
	// Status is what a server answers. Clients have no use for it.
	Status int
	// Reason is for logs.
	Reason string
}

func (e *Error) Error() string { return e.Reason }

const (
	badRequest     = 400
	targetTooLong  = 414
	expectation    = 417
	tooLarge       = 431
	notImplemented = 501
	badVersion     = 505
)

func malformed(reason string) error { return &Error{badRequest, reason} }

// ErrTargetTooLong says that the request line alone exceeds the limit of the section: RFC 9112 section 3: "A server that receives a
// request-target longer than any URI it wishes to parse MUST respond with a 414 (URI Too Long) status code".
var ErrTargetTooLong error = &Error{targetTooLong, "a request line that is too long"}

// ErrTooLarge says that a header section exceeds its limit.
var ErrTooLarge error = &Error{tooLarge, "a header section that is too large"}

var errTrailersTooLarge error = &Error{tooLarge, "a trailer section that is too large"}
