package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

// An h1exchange is an exchange over HTTP/1.1: the Responder of its answer, and the memory that a connection needs while something is
// under way. It is used for one request after the other.
type h1exchange struct {
	exchange
	c      *h1conn
	parser http1.Request
	asked  message.Request
	body   h1body
	in     []byte // the connection's buffer, when nobody has it
	out    []byte // of the answer, what was not written yet

	answering sync.Mutex // of the next two: who reads the body may send a 100
	responded bool
	expects   bool // the client waits for a 100

	last      bool // no further request is wanted
	framing   framing
	left      int64 // of the content of the answer, where its length is announced
	keep      bool  // the connection goes on behind the answer, as far as that says
	complete  bool  // the answer is
	tunnelled bool
	broken    error // nothing can be written any more
}

// framing is how the end of an answer's content is told (RFC 9112 section 6.3).
type framing uint8

const (
	noContent framing = iota
	byLength
	byChunks
	untilClose
)

// What an answer's buffer takes before it is written: as much as a TLS record. Larger buffers than that and its frame are not kept.
const sendSize, keptOutput = 16 << 10, 20 << 10

var h1exchanges = sync.Pool{New: func() any { return &h1exchange{in: make([]byte, inputSize), out: make([]byte, 0, 2<<10)} }}

// parse takes a whole header section.
func (rq *h1exchange) parse(section []byte) error {
	return rq.parser.Parse(section, &rq.asked, maxHeaderBytes)
}

// run is the way of a request that was parsed.
func (rq *h1exchange) run() {
	c, x := rq.c, &rq.exchange
	g := c.server.gateway
	g.flights.begin()
	defer g.flights.end()
	rq.expects = rq.parser.Expects
	rq.body.begin(rq, rq.asked.Length)
	if rq.asked.Length != 0 {
		rq.asked.Body = &rq.body
	}
	x.entry, x.rules, x.request, x.out, x.client = c.server.entry, g.rules.Load(), &rq.asked, rq, c.client
	x.proto, x.started = "h1", c.heard
	defer rq.Flush() // behind end: who has the answer finds it counted and logged
	defer x.end()
	q := usherRequest(x.request)
	x.verdict, x.conn = c.facts.Decide(&q)
	at := x.admit()
	if at == nil {
		return
	}
	if at.action.waits() {
		c.beginWaiting()
		defer c.endWaiting()
	}
	at.action.serve(x, at)
}

// recycle makes the exchange ready for another request. What costs to make anew is kept.
func (rq *h1exchange) recycle() {
	fields := rq.asked.Fields[:0]
	if cap(fields) > keptFields {
		fields = nil
	}
	clear(fields[:cap(fields)])
	rq.asked = message.Request{Fields: fields}
	rq.parser.Drop()
	rq.body.begin(rq, 0)
	if rq.out = rq.out[:0]; cap(rq.out) > keptOutput {
		rq.out = make([]byte, 0, sendSize)
	}
	rq.responded, rq.expects, rq.last, rq.keep, rq.complete, rq.tunnelled = false, false, false, false, false, false
	rq.framing, rq.left, rq.broken = noContent, 0, nil
	rq.exchange.reset()
}

// How many fields of a request there is room for that is kept.
const keptFields = 128

// sendContinue tells the client to send its content, unless there is an answer already.
func (rq *h1exchange) sendContinue() {
	rq.answering.Lock()
	defer rq.answering.Unlock()
	if rq.expects && !rq.responded {
		rq.expects = false
		io.WriteString(rq.c.nc, "HTTP/1.1 100 Continue\r\n\r\n")
	}
}

// Inform leaves clients of HTTP/1.0 alone (RFC 9110 section 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client").
func (rq *h1exchange) Inform(status int, f message.Fields) error {
	if rq.asked.Minor == 0 || rq.broken != nil {
		return rq.broken
	}
	rq.answering.Lock()
	defer rq.answering.Unlock()
	if status == http.StatusContinue {
		rq.expects = false
	}
	b := http1.AppendStatusLine(rq.out, status, phraseOf(status))
	for i := range f {
		if f[i].Name != "content-length" && !message.HopByHop(f[i].Name) {
			b = http1.AppendField(b, f[i].Name, f[i].Value)
		}
	}
	rq.out = append(b, "\r\n"...)
	return rq.Flush()
}

func (rq *h1exchange) Last() { rq.last = true }

// Respond writes nothing yet.
func (rq *h1exchange) Respond(status int, f message.Fields, end bool) error {
	if rq.broken != nil {
		return rq.broken
	}
	unwanted := rq.leavesContent()
	length, options, trailer := int64(-1), "", ""
	b := http1.AppendStatusLine(rq.out, status, phraseOf(status))
	for i := range f {
		switch name := f[i].Name; {
		case name == "content-length":
			if n, ok := message.ParseLength(f[i].Value); ok {
				length = n
			}
		case name == "trailer":
			trailer = f[i].Value
		case name == "upgrade" && status == http.StatusUpgradeRequired:
			// "The server MUST send an Upgrade header field in a 426 response" (RFC 9110 section 15.5.22).
			b, options = http1.AppendField(b, name, f[i].Value), "Upgrade, "
		case !message.HopByHop(name), name == "proxy-authenticate" && status == http.StatusProxyAuthRequired:
			// Who writes fields here has no say in the others. An upstream's have been taken out before.
			b = http1.AppendField(b, name, f[i].Value)
		}
	}
	b = rq.frame(b, status, length, end)
	if trailer != "" && rq.framing == byChunks {
		b = http1.AppendField(b, "trailer", trailer)
	}
	rq.keep = rq.parser.Persistent && !rq.last && !unwanted && rq.framing != untilClose && !rq.c.leaving.Load()
	switch {
	case !rq.keep:
		options += "close"
	case rq.asked.Minor == 0:
		options += "keep-alive"
	}
	if options = strings.TrimSuffix(options, ", "); options != "" {
		b = http1.AppendField(b, "connection", options)
	}
	rq.out = append(b, "\r\n"...)
	rq.complete = end
	return nil
}

// leavesContent is called when the answer begins: no 100 is sent any more. It reports whether content is left behind that makes the
// connection useless: a client that was not told to send it may do so or not, so that nobody knows what comes next, and where it is too
// long it is not taken in. How long the rest of a chunked one is nobody knows; behind an answer that comes early it is not waited for.
func (rq *h1exchange) leavesContent() bool {
	rq.answering.Lock()
	rq.responded = true
	asking := rq.expects
	rq.answering.Unlock()
	if rq.asked.Length == 0 {
		return false
	}
	c := rq.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return !rq.body.ended && (asking || rq.asked.Length > drainSize || rq.asked.Length < 0 && c.waiting)
}

// frame says where the content ends (RFC 9112 section 6). length is what the fields say; -1: nothing.
func (rq *h1exchange) frame(b []byte, status int, length int64, end bool) []byte {
	head := rq.asked.Method == http.MethodHead
	switch {
	case status == http.StatusNoContent || status < 200:
		// RFC 9110 section 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
		// (Informational) or 204 (No Content)."
		return b
	case head || status == http.StatusNotModified:
		if length >= 0 {
			b = http1.AppendLength(b, length)
		}
		return b
	case end:
		return http1.AppendLength(b, 0)
	case length >= 0:
		rq.framing, rq.left = byLength, length
		return http1.AppendLength(b, length)
	case rq.asked.Minor == 0:
		// RFC 9112 section 6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request
		// indicates HTTP/1.1 (or later minor revisions)."
		rq.framing = untilClose
		return b
	}
	rq.framing = byChunks
	return append(b, "Transfer-Encoding: chunked\r\n"...)
}

var errLength = errors.New("content that is longer or shorter than announced")

// Write waits for the client, within timeouts.idle for each write of the connection.
func (rq *h1exchange) Write(p []byte) (int, error) {
	switch {
	case rq.broken != nil:
		return 0, rq.broken
	case rq.framing == noContent || len(p) == 0:
		return len(p), nil
	case rq.framing == byLength:
		if rq.left -= int64(len(p)); rq.left < 0 {
			rq.broken = errLength
			return 0, rq.broken
		}
	case rq.framing == byChunks:
		rq.out = http1.AppendChunkSize(rq.out, len(p))
	}
	if err := rq.send(p); err != nil {
		return 0, err
	}
	if rq.framing == byChunks {
		rq.out = append(rq.out, "\r\n"...)
	}
	return len(p), nil
}

// send puts content behind what waits, and writes it as whole TLS records; what does not wait is not copied.
func (rq *h1exchange) send(p []byte) error {
	for len(rq.out)+len(p) > sendSize {
		if whole := len(p) - len(p)%sendSize; len(rq.out) == 0 {
			if err := rq.write(p[:whole]); err != nil {
				return err
			}
			p = p[whole:]
			continue
		}
		n := max(0, sendSize-len(rq.out))
		rq.out = append(rq.out, p[:n]...)
		p = p[n:]
		if err := rq.Flush(); err != nil {
			return err
		}
	}
	rq.out = append(rq.out, p...)
	return nil
}

func (rq *h1exchange) write(p []byte) error {
	if _, err := rq.c.raw.writeWhole(rq.c.nc, p); err != nil {
		rq.broken = message.ErrGone
	}
	return rq.broken
}

func (rq *h1exchange) Flush() error {
	if rq.broken != nil || len(rq.out) == 0 {
		return rq.broken
	}
	err := rq.write(rq.out)
	rq.out = rq.out[:0]
	return err
}

func (rq *h1exchange) Finish(trailers message.Fields) error {
	switch {
	case rq.broken != nil:
		return rq.broken
	case rq.framing == byLength && rq.left > 0:
		rq.broken = errLength
		rq.aborted = true
		return rq.broken
	case rq.framing == byChunks:
		rq.out = http1.AppendLastChunk(rq.out, trailers)
	}
	rq.complete = true
	return nil
}

// Abort leaves the answer without an end; the connection is closed when the exchange has returned.
func (rq *h1exchange) Abort() {
	if rq.responded && !rq.complete {
		rq.Flush() // what is there is the client's
	}
	rq.complete = false
	rq.broken = message.ErrGone
}

// Tunnel answers with 101. What the client has sent ahead is read first.
func (rq *h1exchange) Tunnel(f message.Fields) (io.ReadWriteCloser, error) {
	if rq.broken != nil {
		return nil, rq.broken
	}
	c := rq.c
	c.mu.Lock()
	c.blind = true
	c.mu.Unlock()
	c.stopLooking()
	c.nc.SetReadDeadline(time.Time{})
	rq.tunnelled = true
	b := append(rq.out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"...)
	b = http1.AppendField(b, "upgrade", rq.asked.Protocol)
	for i := range f {
		if f[i].Name != "content-length" && !message.HopByHop(f[i].Name) {
			b = http1.AppendField(b, f[i].Name, f[i].Value)
		}
	}
	rq.out = append(b, "\r\n"...)
	if err := rq.Flush(); err != nil {
		return nil, err
	}
	return &h1tunnel{c}, nil
}

// An h1tunnel is a connection that does not speak HTTP any more: one goroutine may read while another writes.
type h1tunnel struct{ c *h1conn }

func (t *h1tunnel) Read(p []byte) (int, error) {
	if c := t.c; c.r < c.w {
		n := copy(p, c.in[c.r:c.w])
		c.r += n
		return n, nil
	}
	return t.c.nc.Read(p)
}

func (t *h1tunnel) Write(p []byte) (int, error) { return t.c.nc.Write(p) }

func (t *h1tunnel) Close() error { return t.c.nc.Close() }
