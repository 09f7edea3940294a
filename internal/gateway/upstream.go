package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/message"
	"github.com/usher-http/usher/internal/proxy"
)

// An upstream passes requests on to a set of equal servers.
type upstream struct{ servers *proxy.Rotation }

func newUpstream(in *config.Upstream, t config.Timeouts) *upstream {
	var servers []*proxy.Server
	for _, u := range in.URLs {
		servers = append(servers, proxy.NewServer(upstreamServer(in, u, t)))
	}
	return &upstream{proxy.NewRotation(servers...)}
}

func upstreamServer(in *config.Upstream, u *url.URL, t config.Timeouts) proxy.Config {
	c := proxy.Config{
		Address:   u.Host,
		Connect:   t.Connect,
		FirstByte: t.FirstByte,
		Idle:      t.Idle,
		Whole:     t.Whole,
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		c.FixedSNI = in.SNI != ""
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: in.SNI, RootCAs: in.CAs, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		if in.SNI == "" {
			c.TLS.ServerName = u.Hostname()
		}
		if in.Certificate != nil {
			c.TLS.Certificates = []tls.Certificate{*in.Certificate}
		}
	}
	if u.Port() == "" {
		c.Address = net.JoinHostPort(u.Hostname(), port)
	}
	return c
}

// retire lets go of connections that nobody will ask for again, those that are in use when they come back.
func (u *upstream) retire() { u.servers.Retire() }

func (u *upstream) waits() bool { return true }

func (u *upstream) serve(x *exchange, _ *route) {
	if lastHop(x.request) {
		x.answerAsLast()
		return
	}
	b, lent := &x.entry.gateway.budget, lentFor(x.request)
	if !b.lend(x.client, lent) {
		x.fail(http.StatusServiceUnavailable)
		return
	}
	defer b.giveBack(x.client, lent)
	x.prepare()
	x.conclude(u.servers.Do(&x.call, x.request))
}

// begin reports whether the request was sent without waiting, so that a gets the answer. It is for requests that need nothing but an answer.
func (u *upstream) begin(x *exchange, a proxy.Asker) bool {
	r := x.request
	if r.Body != nil || r.Protocol != "" || r.Method != http.MethodGet && r.Method != http.MethodHead || lentFor(r) > 0 {
		return false
	}
	x.prepare()
	return u.servers.Begin(&x.call, r, a)
}

// prepare makes the request what the upstream is to get, unless that was done.
func (x *exchange) prepare() {
	if x.prepared {
		return
	}
	x.prepared, x.ordinary = true, true
	x.forward()
	if x.call.Inform == nil {
		x.call.Inform, x.call.PassedOver = x.inform, x.passedOver
	}
}

// conclude goes on with what the upstream has answered.
func (x *exchange) conclude(res *proxy.Response, server *proxy.Server, err error) {
	x.upstream = server.Address()
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	defer res.Close()
	if body := x.request.Body; body != nil {
		defer body.Stop()
	}
	switch {
	case res.Status == http.StatusSwitchingProtocols:
		x.tunnel(res)
	case x.request.Method == http.MethodConnect && res.Status < 300:
		// To an extended CONNECT it would say that the tunnel stands (RFC 8441 section 5).
		x.upstreamFailed(errNoUpgrade)
	default:
		x.pass(res)
	}
}

// passedOver is told that a server could not be reached and that another one is asked.
func (x *exchange) passedOver(s *proxy.Server, err error) {
	x.rules.logger.LogAttrs(context.Background(), slog.LevelWarn, "upstream failed, the next one is tried",
		slog.String("upstream", s.Address()), slog.String("error", err.Error()))
}

// pass gives the upstream's answer to the client as it comes.
func (x *exchange) pass(res *proxy.Response) {
	announced := res.Fields.Has("trailer")
	mayTrail := announced || res.MayTrail && x.request.Major > 1 // HTTP/1.1 has no place for trailers behind a length
	end := res.NoBody || res.Length == 0 && !mayTrail
	if x.respond(res.Status, append(x.answer(), res.Fields...), end) != nil {
		x.aborted = true
		return
	}
	if end {
		return
	}
	if res.Length != 0 || announced {
		if x.flush == nil {
			x.flush = func() { x.out.Flush() }
		}
		res.OnWait(x.flush) // what is there need not wait for what comes
	}
	for {
		most, err := x.room(res.Length)
		if err != nil {
			x.aborted = true
			return
		}
		buf := borrow(most)
		n, ok, err := res.TryRead(buf)
		if n > 0 && x.write(buf[:n]) != nil {
			x.aborted = true
		}
		putBack(buf)
		if x.aborted {
			return
		}
		if !ok {
			x.out.Flush()
			x.noRoom() // not before: until then the client may have something to take
			res.Await()
			continue
		}
		if err == io.EOF {
			x.out.Finish(res.Trailers())
			return
		}
		if err != nil {
			x.brokeOff(err)
			return
		}
	}
}

// brokeOff breaks off an answer whose rest does not come. That is told: the status of the answer says nothing of it, and
// who breaks off is the upstream as often as the client.
func (x *exchange) brokeOff(err error) {
	if kind, _ := x.classify(err); !clients(kind) && !errors.Is(err, proxy.ErrCanceled) {
		x.entry.gateway.metrics.upstreamErrors.WithLabelValues(kind).Inc()
		x.blame("upstream broke off", kind, err)
	}
	x.abort()
}

var errNoUpgrade = errors.New("the upstream did not change to the protocol that was asked for")

// tunnel connects the two ends of an upgraded connection.
func (x *exchange) tunnel(res *proxy.Response) {
	server, err := res.Tunnel()
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	defer server.Close()
	f := append(x.answer(), res.Fields...)
	if x.request.Method == http.MethodConnect {
		// It answers a key that the client did not send (RFC 8441 section 5).
		f = f.Without(func(name string) bool { return name == "sec-websocket-accept" })
	}
	client, err := x.out.Tunnel(f)
	if err != nil {
		x.aborted = true
		return
	}
	x.status = http.StatusSwitchingProtocols
	if x.request.Method == http.MethodConnect {
		x.status = http.StatusOK
	}
	sent, over, done := counted{Writer: client}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		from := ending{Reader: client}
		io.Copy(server, &from)
		if from.err != nil && from.err != io.EOF {
			server.Close() // the client is gone: nobody waits for what the upstream still has to say, if it ever says it
			return
		}
		closeWrite(server)
		// It may be gone all the same: the end of its half and that of its connection look alike.
		if sent.stops(x.rules.timeouts.Idle, over) {
			server.Close()
		}
	}()
	io.Copy(&sent, server)
	close(over)
	x.bytes += sent.n.Load()
	// Whoever ends first ends both: a client that still sends is not read by anybody.
	client.Close()
	server.Close()
	<-done
}

// ending notes how reading has ended.
type ending struct {
	io.Reader
	err error
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.err = err
	}
	return n, err
}

// counted counts what is written.
type counted struct {
	io.Writer
	n atomic.Int64
}

func (w *counted) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// stops waits until nothing has been written for as long as the limit (0: none), and reports whether that came before it was over.
func (w *counted) stops(limit time.Duration, over <-chan struct{}) bool {
	if limit == 0 {
		return false
	}
	look := time.NewTicker(limit)
	defer look.Stop()
	for before := w.n.Load(); ; {
		select {
		case <-over:
			return false
		case <-look.C:
		}
		n := w.n.Load()
		if n == before {
			return true
		}
		before = n
	}
}

// closeWrite says that nothing more comes, where that can be said.
func closeWrite(c io.Closer) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	c.Close()
}

// upstreamFailed answers for an upstream that did not.
func (x *exchange) upstreamFailed(err error) {
	kind, status := x.classify(err)
	m := x.entry.gateway.metrics
	m.upstreamErrors.WithLabelValues(kind).Inc()
	switch kind {
	case "client_gone":
		x.abort()
		return
	case "request_body":
		if x.request.Major == 1 {
			x.out.Last() // the rest of the content would be taken for a request
		}
		x.fail(status)
		return
	}
	if misdirected := x.blame("upstream failed", kind, err); misdirected {
		m.misdirected.Inc()
	}
	x.fail(status)
}

// blame writes a line about the upstream, and reports whether it answered 421.
func (x *exchange) blame(what, kind string, err error) bool {
	attrs := []slog.Attr{
		slog.String("kind", kind),
		slog.String("upstream", x.upstream),
		slog.String("authority", x.request.Authority),
		slog.String("path", pathOf(x.request.Target)),
		slog.String("error", err.Error()),
	}
	var misdirected *proxy.MisdirectedError
	if errors.As(err, &misdirected) {
		attrs = append(attrs, slog.String("cure", misdirected.Cure()))
	}
	x.rules.logger.LogAttrs(context.Background(), slog.LevelWarn, what, attrs...)
	return misdirected != nil
}

// clients reports whether a kind of failure is the client's doing.
func clients(kind string) bool { return kind == "client_gone" || kind == "request_body" }

func (x *exchange) classify(err error) (kind string, status int) {
	var content *proxy.BodyError
	var misdirected *proxy.MisdirectedError
	var limit *proxy.TimeoutError
	var connect *proxy.ConnectError
	switch {
	case errors.Is(err, message.ErrBodyTimeout): // net/http then takes the client for gone
		return "request_body", http.StatusRequestTimeout
	case x.gone.Load():
		return "client_gone", statusClientGone
	case errors.As(err, &content):
		return "request_body", http.StatusBadRequest
	case errors.As(err, &misdirected):
		return "misdirected", http.StatusBadGateway
	}
	kind, status = "failed", http.StatusBadGateway
	if errors.As(err, &limit) {
		kind, status = "timeout", http.StatusGatewayTimeout
	}
	if errors.As(err, &connect) {
		kind = "connect"
	}
	return kind, status
}
