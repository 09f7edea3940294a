// Package h2 is the server's side of an HTTP/2 connection (RFC 9113): bytes in, bytes and events out. It does no I/O, starts no
// goroutine and asks no clock, so that it can be fuzzed, and compared with other servers frame by frame. Whoever drives it
// feeds it what was read, writes what it puts out, and answers what a Handler hears.
//
// A session and its streams are for one goroutine at a time; the driver sees to that.
package h2

import "github.com/usher-http/usher/internal/message"

// A Config bounds sessions. Many may share one; it is only read. The zero value is all defaults.
type Config struct {
	MaxStreams     uint32 // concurrent streams; 0: 250
	MaxHeaderBytes uint32 // of a header section, counted as in RFC 9113 section 6.5.2; 0: 64 KiB
	StreamWindow   uint32 // bytes that a client may send ahead on one stream; 0: 256 KiB
	ConnWindow     uint32 // the same for the connection, at least 65,535, which RFC 9113 grants unasked; 0: 1 MiB
	SendBuffer     int    // bytes of content that Write keeps for one stream; 0: 256 KiB
	MaxOutput      int    // bytes of frames that Output gathers before it stops taking from streams' content; 0: 64 KiB
	ConnSendBuffer int    // the same as SendBuffer for all streams of the session together; 0: 1 MiB

	Account *Account // of what all sessions that share it keep; nil: none
}

// withDefaults returns c with every zero filled in.
func (c *Config) withDefaults() Config {
	d := Config{}
	if c != nil {
		d = *c
	}
	orDefault(&d.MaxStreams, 250)
	orDefault(&d.MaxHeaderBytes, 64<<10)
	orDefault(&d.StreamWindow, 256<<10)
	orDefault(&d.ConnWindow, 1<<20)
	orDefault(&d.SendBuffer, 256<<10)
	orDefault(&d.MaxOutput, 64<<10)
	orDefault(&d.ConnSendBuffer, 1<<20)
	d.MaxHeaderBytes = min(d.MaxHeaderBytes, 1<<24)
	d.StreamWindow = min(d.StreamWindow, maxWindow)
	d.ConnWindow = min(max(d.ConnWindow, defaultWindow), maxWindow)
	return d
}

func orDefault[T uint32 | int](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// A Handler hears what the client does. Its methods are called from within the methods of the session and of its streams, by
// whoever called those; they may call methods of the session and of its streams in turn, but neither Feed nor Output.
type Handler interface {
	// Request says that a header section is complete and well-formed. The strings of r may be kept; r itself and its slices are
	// the stream's, and valid until the stream is released. Body is nil: content comes by Data. Length is 0 where none comes.
	// A field content-length is not among the Fields: what it said is Length.
	Request(st *Stream, r *message.Request)
	// TooLarge says that a header section exceeds MaxHeaderBytes. Nothing of the request is known; the answer is a 431. Content
	// is thrown away.
	TooLarge(st *Stream)
	// Malformed says that a request was refused with a stream error (RFC 9113 section 8.1.1), and why. r is what was read of it, valid
	// during the call; nothing of it was checked.
	Malformed(r *message.Request, reason string)
	// Data brings content. p is valid during the call. Flow control is given back by Stream.Consume, not by itself.
	Data(st *Stream, p []byte)
	// End says that the content is complete, where the Length of the request was not 0.
	End(st *Stream, trailers message.Fields)
	// Reset says that the client has reset the stream, or that the session has: malformed trailers, content that is not as long
	// as it was declared, an error of the connection. No further event comes for it.
	Reset(st *Stream)
	// Writable says that there is room again after a Write that took less than it was given.
	Writable(st *Stream)
	// Pong says that the answer to Ping has come.
	Pong()
}
