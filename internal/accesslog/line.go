// Package accesslog writes the lines of the access log: byte for byte what slog.JSONHandler, behind a [JSONWriter], and slog.TextHandler
// write for the same record, so that one program reads the whole log, without a record, without reflection and without an allocation.
//
// What clients put into a line is escaped: a line stays one line, a field cannot pass for another, and no terminal acts on what it shows.
package accesslog

import "time"

// A Line is what is logged of one request. The fields are written in the order in which they stand here, under their names in
// lower case, with an underscore between words.
type Line struct {
	Listener  string
	Proto     string // h1, h2 or h3
	Remote    string // the client's address with its port
	Method    string
	Authority string
	Path      string // without the query: it is where tokens and names are
	Status    int
	Bytes     int64         // of content that was sent
	Duration  time.Duration // written in seconds
	Verdict   string
	Reason    string

	Site string // empty: none, and not written

	// What the connection's handshake proved: all four are written, or none of them where TLS is empty.
	SNI           string
	HandshakeSite string
	TLS           string // the version
	Resumed       bool

	// Written where they say something: not if empty or false.
	Upstream    string
	Aborted     bool
	WouldRefuse string
	Cure        string
	Error       string // what was wrong with what is no request
}

// message is the msg of every line.
const message = "request"
