package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/usher-http/usher/internal/message"
)

// ServeHTTP takes requests from net/http's server (HTTP/1.1) and from quic-go's (HTTP/3).
func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.gateway.flights.begin()
	defer e.gateway.flights.end()
	h := &httpExchange{w: w, r: r}
	x := &h.exchange
	x.entry, x.rules, x.out, x.client, x.started = e, e.gateway.rules.Load(), h, peerOf(r), time.Now()
	x.proto = protoOf(r)
	x.request = h.read(x.rules.timeouts.Body)
	if x.proto == "h3" {
		h.stall = x.rules.timeouts.Idle
	}
	defer func() {
		if x.aborted {
			panic(http.ErrAbortHandler)
		}
	}()
	defer h.close()
	defer x.end()
	x.verdict = e.gateway.guard.Decide(r)
	x.conn = e.gateway.guard.Conn(r)
	at := x.admit()
	if at == nil {
		return
	}
	if at.action.waits() {
		// net/http ends the context when the client goes away, quic-go when the stream is reset.
		stop := context.AfterFunc(r.Context(), x.cancel)
		defer stop()
	}
	at.action.serve(x, at)
}

// An httpExchange is an exchange over a net/http server: the Responder of its answer.
type httpExchange struct {
	exchange
	w       http.ResponseWriter
	r       *http.Request
	stall   time.Duration // how long a write may wait for the client; 0: the connection has a limit of its own, or there is none
	stalled *time.Timer
	asked   message.Request
	body    *body // nil: the request has none
}

// close is the end of the request: nobody reads its content from here on.
func (h *httpExchange) close() {
	if h.body != nil {
		h.body.Close()
	}
}

// read makes the request that the pipeline works with.
func (h *httpExchange) read(limit time.Duration) *message.Request {
	r := h.r
	q := &h.asked
	*q = message.Request{
		Method:    r.Method,
		Authority: r.Host,
		Hosts:     r.Header["Host"],
		Target:    targetOf(r),
		Protocol:  upgradeOf(r),
		Length:    r.ContentLength,
		Major:     r.ProtoMajor,
		Minor:     r.ProtoMinor,
	}
	if absolute := authorityOfTarget(r); absolute != "" {
		q.Authority = absolute
	}
	q.Fields = fieldsOf(r.Header)
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		h.body = newBody(h.w, r, limit)
		q.Body = h.body
		if r.ProtoMajor == 3 && r.ContentLength < 0 && bodiless(r.Method) && h.body.isEmpty() {
			q.Body = nil
		}
	}
	if q.Body == nil {
		q.Length = 0
	}
	return q
}

// bodiless holds for methods whose requests rarely have content.
func bodiless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	}
	return false
}

// targetOf returns path and query as the client sent them. net/http has found the target good.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if target == "" || target[0] == '/' || target == "*" {
		return target
	}
	_, rest, _ := strings.Cut(target, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if rest = rest[i:]; rest[0] == '/' {
			return rest
		}
		return "/" + rest
	}
	return "/"
}

// authorityOfTarget is what an absolute-form target names (RFC 9112 section 3.2.2); empty: the target is none.
func authorityOfTarget(r *http.Request) string {
	target := r.RequestURI
	if r.ProtoMajor != 1 || target == "" || target[0] == '/' {
		return ""
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// upgradeOf returns the one upgrade that is passed on. Behind an upgrade to h2c (or to TLS) the client could ask the upstream for
// any host and path, past the guard and the routes. A server may ignore an upgrade (RFC 9110 section 7.8).
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet || len(r.Header["Upgrade"]) != 1 ||
		!strings.EqualFold(r.Header["Upgrade"][0], "websocket") || !listed(r.Header["Connection"], "upgrade") {
		return ""
	}
	return "websocket"
}

func listed(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// fieldsOf leaves out what is about the connection: the known fields, and what Connection names.
func fieldsOf(h http.Header) message.Fields {
	f := make(message.Fields, 0, len(h)+8)
	for name, values := range h {
		lower := strings.ToLower(name)
		if lower == "host" || lower == "content-length" || message.HopByHop(lower) || listed(h["Connection"], lower) {
			continue
		}
		if lower == "cookie" && len(values) > 1 {
			values = []string{strings.Join(values, "; ")}
		}
		for _, value := range values {
			f = append(f, message.Field{Name: lower, Value: value})
		}
	}
	if listed(h["Te"], "trailers") {
		f = append(f, message.Field{Name: "te", Value: "trailers"})
	}
	slices.SortStableFunc(f, func(a, b message.Field) int { return strings.Compare(a.Name, b.Name) })
	return f
}

func peerOf(r *http.Request) *peer {
	p := &peer{remote: r.RemoteAddr, ip: hostOf(r.RemoteAddr)}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 {
		p.certificate = clientCertificate(r.TLS.PeerCertificates[0].Raw)
	}
	return p
}

// clientCertificate is a certificate as Client-Cert has it (RFC 9440 section 2.1).
func clientCertificate(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

func (h *httpExchange) header(f message.Fields) http.Header {
	out := h.w.Header()
	for _, field := range f {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		out[name] = append(out[name], field.Value)
	}
	return out
}

func (h *httpExchange) Inform(status int, f message.Fields) error {
	out := h.header(f)
	h.w.WriteHeader(status)
	closing := out["Connection"]
	clear(out)
	if closing != nil {
		out["Connection"] = closing
	}
	return nil
}

func (h *httpExchange) Last() { h.w.Header()["Connection"] = []string{"close"} }

func (h *httpExchange) Respond(status int, f message.Fields, end bool) error {
	h.header(f)
	h.w.WriteHeader(status)
	return nil
}

func (h *httpExchange) Write(p []byte) (int, error) {
	h.limitWrite()
	n, err := h.w.Write(p)
	if h.stalled != nil {
		h.stalled.Stop()
	}
	return n, err
}

// limitWrite limits how long a stream of HTTP/3 may wait for its client, whose flow control could keep it for ever on a connection
// that is well.
func (h *httpExchange) limitWrite() {
	switch {
	case h.stall == 0:
	case h.stalled != nil:
		h.stalled.Reset(h.stall)
	default:
		control := http.NewResponseController(h.w)
		h.stalled = time.AfterFunc(h.stall, func() { control.SetWriteDeadline(time.Unix(1, 0)) })
	}
}

func (h *httpExchange) Flush() error { return http.NewResponseController(h.w).Flush() }

func (h *httpExchange) Finish(trailers message.Fields) error {
	out := h.w.Header()
	for _, field := range trailers {
		out.Add(http.TrailerPrefix+textproto.CanonicalMIMEHeaderKey(field.Name), field.Value)
	}
	return nil
}

// Abort leaves the panic to the end of the handler.
func (h *httpExchange) Abort() { h.aborted = true }

func (h *httpExchange) Tunnel(f message.Fields) (io.ReadWriteCloser, error) {
	if h.r.ProtoMajor != 1 {
		return nil, errors.New("no tunnels over this protocol")
	}
	c, rw, err := http.NewResponseController(h.w).Hijack()
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Time{})
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + h.asked.Protocol + "\r\n")
	for _, field := range f {
		rw.WriteString(textproto.CanonicalMIMEHeaderKey(field.Name) + ": " + field.Value + "\r\n")
	}
	rw.WriteString("\r\n")
	if err := rw.Flush(); err != nil {
		c.Close()
		return nil, err
	}
	stop := context.AfterFunc(h.entry.gateway.hard, func() { c.Close() })
	return &hijacked{c, rw.Reader, stop}, nil
}

// A hijacked connection belongs to a tunnel. What the client has sent ahead is read first.
type hijacked struct {
	net.Conn
	ahead *bufio.Reader
	stop  func() bool
}

func (c *hijacked) Read(p []byte) (int, error) { return c.ahead.Read(p) }

func (c *hijacked) Close() error {
	c.stop()
	return c.Conn.Close()
}
