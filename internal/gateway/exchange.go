package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/proxy"
)

// Not sent, but logged and counted: the client was gone before there was an answer. The number is nginx's.
const statusClientGone = 499

// An exchange is one request and its answer on the way through the gateway, whatever the protocol.
type exchange struct {
	entry   *entry
	rules   *rules
	request *message.Request
	out     message.Responder
	client  *peer
	proto   string
	started time.Time

	conn    *authority.Conn // nil: no facts
	verdict authority.Verdict
	path    string // clean; empty until it is routed

	// ordinary says that what is written is an answer of the site: neither a refusal nor an error of ours.
	ordinary bool
	prepared bool // the request is what the upstream gets
	status   int
	bytes    int64
	upstream string // the server that was asked last
	aborted  bool   // the answer breaks off
	gone     atomic.Bool
	call     proxy.Call
	fields   message.Fields // of the answer; the room is used again
	flush    func()         // out.Flush
}

// reset makes x ready for another request.
func (x *exchange) reset() {
	clear(x.fields[:cap(x.fields)])
	x.call.Reset()
	x.gone.Store(false)
	x.entry, x.rules, x.request, x.out, x.client, x.conn = nil, nil, nil, nil, nil, nil
	x.verdict, x.path, x.upstream, x.status, x.bytes = authority.Verdict{}, "", "", 0, 0
	x.ordinary, x.prepared, x.aborted = false, false, false
}

// A peer is what requests tell of whoever is at the other end of their connection.
type peer struct {
	remote string // address and port, as in the log
	ip     string
	// certificate is the leaf that was verified under the site's CAs, as Client-Cert has it (RFC 9440); empty: none.
	certificate string
	lent        *atomic.Int64 // of the connection; see budget
}

// cancel says that nobody waits for the answer any more. It may be called from any goroutine as long as the exchange lasts.
func (x *exchange) cancel() {
	x.gone.Store(true)
	x.call.Cancel()
}

// answer begins the header section of an answer: fields for the caller to append to.
func (x *exchange) answer() message.Fields { return x.fields[:0] }

// respond sends the header section of the final answer. Date and Alt-Svc are the gateway's: what an upstream says of its
// alternatives is not about us (RFC 7838 section 2.1: it would move our clients).
func (x *exchange) respond(status int, f message.Fields, end bool) error {
	x.status = status
	dated := false
	kept := f[:0]
	for _, field := range f {
		switch field.Name {
		case "alt-svc":
			continue
		case "date":
			dated = true
		}
		kept = append(kept, field)
	}
	f = kept
	if !dated {
		f = append(f, message.Field{Name: "date", Value: httpDate(time.Now())})
	}
	if alt := x.alternative(); alt != "" {
		f = append(f, message.Field{Name: "alt-svc", Value: alt})
	}
	x.fields = f
	return x.out.Respond(status, f, end)
}

// inform passes an interim answer on.
func (x *exchange) inform(status int, f message.Fields) {
	f = f.Without(func(name string) bool { return name == "alt-svc" })
	x.out.Inform(status, f)
}

// alternative is what the response may say of HTTP/3. A gateway in front is what clients connect to, not this one. In a 421 clients
// have to ignore it (RFC 7838 section 6), whoever made the 421.
func (x *exchange) alternative() string {
	if !x.ordinary || x.status == http.StatusMisdirectedRequest || x.proto == "h3" || x.conn == nil || !x.conn.Secure || x.conn.Trusted {
		return ""
	}
	return *x.entry.door.altSvc.Load()
}

func (x *exchange) write(p []byte) error {
	n, err := x.out.Write(p)
	x.bytes += int64(n)
	return err
}

// whole answers with a header section and all of its content. The fields hold everything but the length.
func (x *exchange) whole(status int, f message.Fields, length string, content []byte) {
	f = append(f, message.Field{Name: "content-length", Value: length})
	if len(content) == 0 || x.request.Method == http.MethodHead {
		x.respond(status, f, true)
		return
	}
	if x.respond(status, f, false) == nil && x.write(content) == nil {
		x.out.Finish(nil)
	}
}

// abort breaks the answer off so that the client notices.
func (x *exchange) abort() {
	x.aborted = true
	x.out.Abort()
}

// fail answers with an error of ours. The text says nothing that the status does not say.
func (x *exchange) fail(status int, more ...message.Field) {
	x.ordinary = false
	text := strconv.Itoa(status) + " " + phraseOf(status) + "\n"
	f := append(x.answer(),
		message.Field{Name: "content-type", Value: "text/plain; charset=utf-8"},
		message.Field{Name: "x-content-type-options", Value: "nosniff"})
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		f = append(f, message.Field{Name: "cache-control", Value: "no-store"})
	}
	x.whole(status, append(f, more...), strconv.Itoa(len(text)), []byte(text))
}

// refuse answers with what the guard says to a request that is not to be served.
func (x *exchange) refuse() {
	q := usherRequest(x.request)
	a := x.entry.gateway.guard.Refusal(x.verdict, &q, x.request.Target, x.request.Fields.Values("accept"))
	f := append(x.answer(), message.Field{Name: "cache-control", Value: "no-store"})
	if a.Location != "" {
		f = append(f, message.Field{Name: "location", Value: a.Location})
	}
	if a.Allow != "" {
		f = append(f, message.Field{Name: "allow", Value: a.Allow})
	}
	if a.ContentType != "" {
		f = append(f, message.Field{Name: "content-type", Value: a.ContentType},
			message.Field{Name: "x-content-type-options", Value: "nosniff"})
	}
	if a.Close {
		x.out.Last()
	}
	x.whole(a.Status, f, a.ContentLength, a.Body)
}

// httpDate is the time as Date has it. It changes once a second.
func httpDate(now time.Time) string {
	second := now.Unix()
	if d := date.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &dateText{second, now.UTC().Format(http.TimeFormat)}
	date.Store(d)
	return d.text
}

type dateText struct {
	second int64
	text   string
}

var date atomic.Pointer[dateText]

// roomy may be implemented by a Responder. Room waits until the client takes content, within the server's limits, and returns how much
// Write takes without waiting for it.
type roomy interface{ Room() (int, error) }

// What is no longer is taken whatever the client does.
const littleContent = 4 << 10

// room is how large the next piece of an answer of so much content (-1: unknown) may be that is read into a buffer, so that no buffer is
// needed while nobody takes what is in it.
func (x *exchange) room(length int64) (int, error) {
	if 0 <= length && length <= littleContent {
		return littleContent, nil
	}
	if out, ok := x.out.(roomy); ok {
		n, err := out.Room()
		return min(n, largeBuffer), err
	}
	return largeBuffer, nil
}

// noRoom says that nothing is in the room which was asked for last, and nothing will be.
func (x *exchange) noRoom() {
	if out, ok := x.out.(interface{ giveBack() }); ok {
		out.giveBack()
	}
}

// Buffers are for copying content: of two sizes, so that a little of it does not take up much.
const largeBuffer, littleBuffer = 64 << 10, littleContent

var (
	largeBuffers  = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	littleBuffers = sync.Pool{New: func() any { return new([littleBuffer]byte) }}
)

// borrow returns a buffer of n bytes, at most largeBuffer. It goes back by putBack.
func borrow(n int) []byte {
	if n <= littleBuffer {
		return littleBuffers.Get().(*[littleBuffer]byte)[:n]
	}
	return largeBuffers.Get().(*[largeBuffer]byte)[:n]
}

func putBack(buf []byte) {
	if cap(buf) == littleBuffer {
		littleBuffers.Put((*[littleBuffer]byte)(buf[:littleBuffer]))
		return
	}
	largeBuffers.Put((*[largeBuffer]byte)(buf[:largeBuffer]))
}
