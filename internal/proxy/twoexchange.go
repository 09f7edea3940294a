package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"

	"golang.org/x/net/http2"

	"github.com/usher-http/usher/internal/message"
)

// A twoExchange is one request on an HTTP/2 connection: the adapter between our messages and those of net/http.
type twoExchange struct {
	onWait func() // see Response.OnWait
	server *Server
	conn   *twoConn
	call   *Call
	watch  watch
	cancel context.CancelFunc
	body   *twoBody // nil: there is none
	info   chan interim

	// Of the answer.
	answer   Response
	response *http.Response
	over     bool // x/net has no more
	broken   error
	more     bool    // reading filled what it was given: there may be more at hand
	little   *little // what was awaited is in it; nil: nothing is
	awaited  []byte
}

type interim struct {
	status int
	fields message.Fields
}

func (*twoConn) shared() bool { return true }

// exchange sends a request on the stream that is reserved and waits for the answer's header section.
func (c *twoConn) exchange(call *Call, r *message.Request) (*Response, error) {
	s := c.pool.server
	ctx, cancel := context.WithCancel(context.Background())
	x := &twoExchange{server: s, conn: c, call: call, cancel: cancel, info: make(chan interim, maxInterim)}
	x.watch.stop = cancel
	x.watch.begin(call.start(s.config.Whole))
	if err := call.attach(&x.watch); err != nil {
		x.watch.abort(err) // the stream that is reserved has to be used up all the same
	}
	if hasContent(r) {
		x.body = newTwoBody(x, r)
		if err := x.body.readAtHand(); err != nil {
			x.watch.abort(&BodyError{err})
		}
	}
	x.watch.sending(s.config.FirstByte)
	informed, err := x.run(x.request(ctx, r))
	if err != nil {
		return nil, x.fail(err, informed)
	}
	x.answered(r)
	return &x.answer, nil
}

// run waits for the final answer. x/net does that in a goroutine of its own, so that interim answers are told of by this one:
// whoever takes them may take his time, which x/net's reader of the connection has not.
func (x *twoExchange) run(out *http.Request) (informed bool, err error) {
	done := make(chan error, 1)
	go func() {
		res, err := x.conn.RoundTrip(out)
		x.response = res
		done <- err
	}()
	for {
		select {
		case i := <-x.info:
			informed = true
			x.inform(i)
		case err := <-done:
			for len(x.info) > 0 {
				x.inform(<-x.info)
			}
			return informed, err
		}
	}
}

func (x *twoExchange) inform(i interim) {
	if x.call.Inform != nil {
		x.call.Inform(i.status, i.fields)
	}
}

var errInterim = &MalformedError{"too many interim answers, or 101 in HTTP/2"}

// got1xx is called by x/net's reader of the connection.
func (x *twoExchange) got1xx(status int, h textproto.MIMEHeader) error {
	if status != http.StatusSwitchingProtocols {
		x.watch.sending(x.server.config.FirstByte)
		select {
		case x.info <- interim{status, fieldsOf(http.Header(h)).Without(isLength)}:
			return nil
		default:
		}
	}
	x.watch.abort(errInterim)
	return errInterim
}

// request is r for net/http.
func (x *twoExchange) request(ctx context.Context, r *message.Request) *http.Request {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: x.got1xx})
	out := (&http.Request{Method: r.Method, URL: targetURL(r), Host: r.Authority, Header: headerOf(r.Fields)}).WithContext(ctx)
	if x.body != nil {
		out.Body, out.ContentLength = x.body, r.Length
		out.Trailer = x.body.trailer // filled in when they are known
	}
	return out
}

// fail says what an error of x/net means, and cleans up. A connection that refuses, or has ended, gets no further request: the next
// attempt makes another.
func (x *twoExchange) fail(err error, informed bool) error {
	why := x.watch.why()
	var stream http2.StreamError
	ofStream := errors.As(err, &stream) && stream.Code != http2.ErrCodeRefusedStream
	if why == nil && !ofStream {
		x.conn.pool.two.spend(x.conn)
	}
	x.finish()
	if why != nil {
		return why
	}
	if ofStream || informed {
		return &ClosedError{err}
	}
	return &staleError{&ClosedError{err}, stream.Code == http2.ErrCodeRefusedStream || unprocessed(err)}
}

// unprocessed reports whether the server says, or x/net knows, that nothing of the request was carried out (RFC 9113 section 8.7).
func unprocessed(err error) bool {
	switch err.Error() { // x/net does not export these
	case "http2: Transport received Server's graceful shutdown GOAWAY", "http2: client conn not usable",
		"http2: client conn is closed", "http2: client conn could not be established":
		return true
	}
	return false
}
