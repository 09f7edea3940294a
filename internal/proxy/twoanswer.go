package proxy

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/usher-http/usher/internal/http1"
	"github.com/usher-http/usher/internal/message"
)

func (x *twoExchange) answered(r *message.Request) {
	x.watch.answered()
	res := x.response
	x.answer = Response{Status: res.StatusCode, Fields: fieldsOf(res.Header), Length: res.ContentLength, from: x}
	switch {
	case res.StatusCode == http.StatusNoContent:
		x.answer.Fields = x.answer.Fields.Without(isLength)
		x.answer.Length, x.answer.NoBody = 0, true
	case r.Method == http.MethodHead || res.StatusCode == http.StatusNotModified:
		x.answer.NoBody = true
	}
	if x.answer.NoBody || res.ContentLength == 0 && res.Header["Content-Length"] == nil { // x/net saw the end
		res.Trailer = nil
	}
	x.over = x.answer.NoBody
	x.answer.MayTrail = !x.over && res.ContentLength == 0 && res.Header["Content-Length"] != nil // x/net does not say whether it saw the end
	x.answer.Fields = announce(x.answer.Fields, res.Trailer)
}

// announce adds a field Trailer for the trailers that x/net knows of, which it has taken out of the header section.
func announce(f message.Fields, trailers http.Header) message.Fields {
	if len(trailers) == 0 {
		return f
	}
	names := strings.Join(slices.Sorted(maps.Keys(trailers)), ",")
	return append(f, message.Field{Name: "trailer", Value: names}).Announcing(http1.Trailing)
}

func (x *twoExchange) read(p []byte) (int, error) {
	if len(x.awaited) > 0 {
		return x.takeAwaited(p), nil
	}
	if x.onWait != nil && !x.over && x.broken == nil {
		x.onWait()
	}
	return x.wait(p)
}

// wait reads from x/net, which has content in buffers of its own and does not say whether some is there.
func (x *twoExchange) wait(p []byte) (int, error) {
	switch {
	case x.broken != nil:
		return 0, x.broken
	case x.over:
		return 0, io.EOF
	}
	x.watch.limit(x.server.config.Idle, ErrIdle)
	n, err := x.response.Body.Read(p)
	x.watch.limit(0, nil)
	x.more = n == len(p)
	switch {
	case err == io.EOF:
		x.over = true
	case err != nil:
		if x.broken = x.watch.why(); x.broken == nil {
			x.broken = &ClosedError{err}
		}
		err = x.broken
	}
	return n, err
}

// attempt takes what was awaited, and what is behind it if that was more than a little.
func (x *twoExchange) attempt(p []byte) (int, bool, error) {
	switch {
	case len(x.awaited) > 0:
		return x.takeAwaited(p), true, nil
	case x.more || x.over || x.broken != nil || x.answer.Length == 0: // what ends is not worth a wait of its own
		n, err := x.read(p)
		return n, true, err
	}
	return 0, false, nil
}

// A little is what awaits content over HTTP/2. It is small: the next piece may be far away. A piece of 4 KiB does not fill it, since then it
// would look as though more were at hand.
type little [4<<10 + 512]byte

var littles = sync.Pool{New: func() any { return new(little) }}

func (x *twoExchange) awaitMore() {
	x.little = littles.Get().(*little)
	n, _ := x.wait(x.little[:])
	if x.awaited = x.little[:n]; n == 0 {
		x.dropLittle()
	}
}

func (x *twoExchange) takeAwaited(p []byte) int {
	n := copy(p, x.awaited)
	if x.awaited = x.awaited[n:]; len(x.awaited) == 0 {
		x.dropLittle()
	}
	return n
}

func (x *twoExchange) dropLittle() {
	if x.little != nil {
		littles.Put(x.little)
		x.little, x.awaited = nil, nil
	}
}

func (x *twoExchange) onWaiting(f func()) { x.onWait = f }

func (x *twoExchange) buffered() bool { return len(x.awaited) > 0 || x.over || x.broken != nil }

func (x *twoExchange) trailing() (f message.Fields) {
	if !x.over || x.answer.NoBody {
		return nil
	}
	for _, field := range fieldsOf(x.response.Trailer) {
		if http1.Trailing(field.Name) {
			f = append(f, field)
		}
	}
	return f
}

func (x *twoExchange) tunnelling() (io.ReadWriteCloser, error) { return nil, errNoTunnel }

func (x *twoExchange) finish() {
	x.dropLittle()
	x.watch.abort(errStopped)
	if x.response != nil {
		x.response.Body.Close()
	}
	x.cancel()
	if x.body != nil {
		x.body.finish()
	}
	x.call.detach()
	x.watch.end()
	x.watch.forget()
	x.conn.pool.two.release(x.conn)
}
