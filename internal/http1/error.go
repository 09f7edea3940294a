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
	expectation    = 417
	tooLarge       = 431
	notImplemented = 501
	badVersion     = 505
)

func malformed(reason string) error { return &Error{badRequest, reason} }

// ErrTooLarge says that a header section exceeds its limit.
var ErrTooLarge error = &Error{tooLarge, "a header section that is too large"}

var errTrailersTooLarge error = &Error{tooLarge, "a trailer section that is too large"}
