package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/usher-http/usher/authority"
)

// Not sent, but logged and counted: the client was gone before there was an answer. The number is nginx's.
const statusClientGone = 499

// An exchange is one request and its answer on the way through the gateway. It is the ResponseWriter of what is behind
// it.
type exchange struct {
	http.ResponseWriter
	entry   *entry
	rules   *rules
	request *http.Request // as it came
	proto   string
	started time.Time
	conn    *authority.Conn // nil: no facts
	verdict authority.Verdict
	path    string // clean; empty until it is routed

	// ordinary says that what is written is an answer of the site: neither a refusal nor an error of ours.
	ordinary bool
	status   int
	bytes    int64
	upstream string // the server that was asked last
	body     *body  // nil: the request has none
	aborted  bool   // the answer breaks off
	stalled  *time.Timer
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) WriteHeader(status int) {
	h := x.Header()
	// What an upstream says of its alternatives is not about us (RFC 7838 section 2.1: it would move our clients).
	delete(h, "Alt-Svc")
	if status >= 200 && x.status == 0 {
		x.status = status
		if alt := x.alternative(); alt != "" {
			h["Alt-Svc"] = []string{alt}
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// alternative is what the response may say of HTTP/3. A gateway in front is what clients connect to, not this one.
func (x *exchange) alternative() string {
	if !x.ordinary || x.proto == "h3" || x.conn == nil || !x.conn.Secure || x.conn.Trusted {
		return ""
	}
	return *x.entry.door.altSvc.Load()
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	x.limitWrite()
	n, err := x.ResponseWriter.Write(p)
	if x.stalled != nil {
		x.stalled.Stop()
	}
	x.bytes += int64(n)
	return n, err
}

// limitWrite limits how long a stream of HTTP/2 or 3 may wait for its client, whose flow control could keep it for ever
// on a connection that is well. On HTTP/1.1 the connection has a limit of its own.
func (x *exchange) limitWrite() {
	d := x.rules.timeouts.Idle
	if d == 0 || x.request.ProtoMajor == 1 {
		return
	}
	if x.stalled != nil {
		x.stalled.Reset(d)
		return
	}
	control := http.NewResponseController(x.ResponseWriter)
	x.stalled = time.AfterFunc(d, func() { control.SetWriteDeadline(time.Unix(1, 0)) })
}

// ReadFrom saves io.Copy from making a buffer for each file.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	buf := buffers.Get()
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{x}, src, buf)
}

// Hijack is how upgrades take the connection over.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err == nil {
		x.status = http.StatusSwitchingProtocols
	}
	return c, rw, err
}

// fail answers with an error of ours. The text says nothing that the status does not say.
func (x *exchange) fail(status int) {
	x.ordinary = false
	h := x.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
		delete(h, name)
	}
	text := strconv.Itoa(status) + " " + http.StatusText(status) + "\n"
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		h.Set("Cache-Control", "no-store")
	}
	x.WriteHeader(status)
	if x.request.Method != http.MethodHead {
		io.WriteString(x, text)
	}
}

// bufferPool holds the buffers for copying. It is an httputil.BufferPool.
type bufferPool struct{ pool sync.Pool }

var buffers = &bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

func (b *bufferPool) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
