package wire

import "time"

// Limits bound what a server can make the prober wait for and keep. The zero value has the defaults.
type Limits struct {
	Connect time.Duration // for TCP or UDP and the handshake together; 0: 5 s
	Answer  time.Duration // for one request and its whole answer; 0: 10 s
	Header  int           // bytes of a header section; 0: 256 KiB
	Body    int           // bytes of content that are read; 0: 1 MiB
}

// Keep is how many bytes of content an [Answer] keeps, for comparisons; the digest covers all that was read.
const Keep = 64 << 10

// maxFrames is how many frames an answer may be made of: more is a flood.
const maxFrames = 20_000

// maxOthers is how many frames of HTTP/2 may come between that are no part of the answer.
const maxOthers = 1000

// maxInterim is how many 1xx answers may come before the answer.
const maxInterim = 20

// maxOrigins is how many ORIGIN frames of a connection are kept.
const maxOrigins = 16

func (l Limits) withDefaults() Limits {
	if l.Connect <= 0 {
		l.Connect = 5 * time.Second
	}
	if l.Answer <= 0 {
		l.Answer = 10 * time.Second
	}
	if l.Header <= 0 {
		l.Header = 256 << 10
	}
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	return l
}
