package originframe

import "fmt"

// A ParseError says why a string is no ASCII serialisation of an origin.
type ParseError struct {
	Input  string
	Offset int // in bytes, where the reason was found
	Reason string
}

func (e *ParseError) Error() string {
	in := e.Input
	if len(in) > maxOrigin {
		in = in[:maxOrigin] + "..."
	}
	return fmt.Sprintf("origin %q: %s (at byte %d)", in, e.Reason, e.Offset)
}

// A LimitError says that a payload or a set would exceed a limit. Over HTTP/2 and HTTP/3 a client may close the
// connection because of it (RFC 8336 section 4: "clients can monitor their state commitment and close the
// connection if it is too high") or go on without what the frame said.
type LimitError struct {
	What  string // "bytes in an ORIGIN payload", "origins in an ORIGIN payload" or "origins in an Origin Set"
	Limit int
	Got   int // what was found, or, where counting ended early, the first number past the limit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%d %s, which is more than the limit of %d", e.Got, e.What, e.Limit)
}

// A TruncatedError says that a payload ends within an Origin-Entry. It is an error of the frame's size, not of
// an origin in it: HTTP/2 calls for a connection error FRAME_SIZE_ERROR (RFC 9113 section 4.2: "too small to contain
// mandatory frame data", on stream 0), HTTP/3 for H3_FRAME_ERROR (RFC 9114 section 7.1: "terminates before the end of
// the identified fields").
type TruncatedError struct {
	Offset int // in bytes, where the entry begins
	Want   int // bytes that the entry needs, its length field included
	Have   int // bytes that are left
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("ORIGIN payload is truncated: the entry at byte %d needs %d bytes, and %d are left", e.Offset, e.Want, e.Have)
}
