package proxy

import (
	"errors"
	"fmt"
	"io"

	"github.com/usher-http/usher/internal/http1"
)

// ErrCanceled is how a Call ends that was cancelled.
var ErrCanceled = errors.New("the request was cancelled")

// A TimeoutError says which limit of the Config was passed. There are four: compare with errors.Is.
type TimeoutError struct{ limit string }

var (
	ErrConnect   = &TimeoutError{"connect"}    // within a ConnectError
	ErrFirstByte = &TimeoutError{"first byte"} // no answer
	ErrIdle      = &TimeoutError{"idle"}       // the answer stopped in the middle
	ErrWhole     = &TimeoutError{"whole"}      // all of it together took too long
)

func (e *TimeoutError) Error() string { return "the upstream took too long (" + e.limit + ")" }

// Timeout is for net.Error's readers.
func (e *TimeoutError) Timeout() bool { return true }

// A ConnectError says that there is no connection to the server: nothing of the request was carried out, so that the next one can
// be asked.
type ConnectError struct {
	Server string
	Err    error
}

func (e *ConnectError) Error() string { return "no connection to " + e.Server + ": " + e.Err.Error() }
func (e *ConnectError) Unwrap() error { return e.Err }

// A BodyError says that the request's content broke off, or was not as long as announced. It is the client's doing.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "the request's content broke off: " + e.Err.Error() }
func (e *BodyError) Unwrap() error { return e.Err }

// ErrBodyLength is within a BodyError.
var ErrBodyLength = errors.New("it is not as long as announced")

// A RequestError says that a request cannot be sent as it is. Nothing of it was.
type RequestError struct{ Reason string }

func (e *RequestError) Error() string { return "the request cannot be sent: " + e.Reason }

// A MalformedError says that an answer breaks the rules of RFC 9112.
type MalformedError struct{ Reason string }

func (e *MalformedError) Error() string { return "the upstream's answer is malformed: " + e.Reason }

// asMalformed makes a MalformedError of what the codec refuses. Other errors, and nil, stay what they are.
func asMalformed(err error) error {
	if wrong, ok := err.(*http1.Error); ok {
		return &MalformedError{wrong.Reason}
	}
	return err
}

// A ClosedError says that the server's connection ended before the answer did. It is an io.ErrUnexpectedEOF.
type ClosedError struct{ Err error }

func (e *ClosedError) Error() string {
	if errors.Is(e.Err, io.EOF) || errors.Is(e.Err, io.ErrUnexpectedEOF) {
		return "the upstream closed the connection too early"
	}
	return "the connection to the upstream broke: " + e.Err.Error()
}

func (e *ClosedError) Unwrap() []error { return []error{e.Err, io.ErrUnexpectedEOF} }

// A MisdirectedError is an upstream's own 421 that a fresh connection did not cure. It says something about our connection to the
// server, which the client could do nothing about.
type MisdirectedError struct {
	Server  string
	SNI     string // of the connection that the last 421 came by, or that could not be made; empty: plaintext or none
	Host    string // of the request
	Retried bool   // a fresh connection with Host as its SNI was tried
	Err     error  // why that one could not be made; nil: it was, and the answer was 421
	secured bool
}

func (e *MisdirectedError) Error() string {
	s := fmt.Sprintf("the upstream %s answered 421 for the host %q (sni %q)", e.Server, e.Host, e.SNI)
	if e.Err != nil {
		return s + ", and a connection with that sni could not be made: " + e.Err.Error()
	}
	return s
}

func (e *MisdirectedError) Unwrap() error { return e.Err }

// Cure is what the operator can do about it.
func (e *MisdirectedError) Cure() string {
	switch {
	case !e.secured:
		return "the upstream does not serve this host on a plaintext connection: add the host to its sites, or use an https:// URL, whose " +
			"connections have an sni"
	case e.Err != nil:
		return "the upstream wants a connection made for this host, but has no certificate for it: set the upstream's sni to a name " +
			"that it serves and has a certificate for, or give it one for the host"
	}
	return "the upstream takes the connection for one that is not made for this host: set the upstream's sni to a name that it " +
		"serves, or add the host to its sites"
}
