package gateway

import (
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

// ServeHTTP takes requests from quic-go's server.
func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.gateway.flights.begin()
	defer e.gateway.flights.end()
	h := newHTTPExchange(w, r)
	h.c.running.Add(1)
	defer h.c.running.Add(-1)
	x := &h.exchange
	x.entry, x.rules, x.out, x.client, x.started = e, e.gateway.rules.Load(), h, h.c.peer(r), time.Now()
	x.proto = protoOf(r)
	x.request = h.read(x.rules.timeouts.Body)
	h.writing.limit = x.rules.timeouts.Idle
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
	if h.malformed {
		x.fail(http.StatusBadRequest)
		return
	}
	if e.gateway.unsent.Full() && h.c.running.Load() > 1 {
		x.fail(http.StatusServiceUnavailable) // the client has to take what it was answered before it is answered more
		return
	}
	if at.action.waits() {
		// The context ends when the stream is reset.
		stop := context.AfterFunc(r.Context(), x.cancel)
		defer stop()
	}
	at.action.serve(x, at)
}

// An httpExchange is an exchange over HTTP/3: the Responder of its answer.
type httpExchange struct {
	exchange
	w     http.ResponseWriter
	r     *http.Request
	c     *h3conn
	piece int // room for a piece of the answer that was taken of the connection's
	// writing limits how long a write may wait for its client, whose flow control could keep a stream for ever on a connection that is well.
	writing stall
	asked   message.Request
	body    *body // nil: the request has none
	// malformed says that quic-go let through what the others refuse (RFC 9114 section 4.1.2: "Intermediaries that process HTTP requests
	// or responses [...] MUST NOT forward a malformed request or response").
	malformed bool
}

func newHTTPExchange(w http.ResponseWriter, r *http.Request) *httpExchange {
	h := &httpExchange{w: w, r: r, c: h3connOf(r)}
	h.writing.late = func() { http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) }
	return h
}

// close is the end of the request: nobody reads its content from here on. What quic-go still has to write of the answer is limited, too.
func (h *httpExchange) close() {
	h.giveBack()
	if h.writing.limit > 0 && !h.aborted {
		http.NewResponseController(h.w).SetWriteDeadline(time.Now().Add(h.writing.limit))
	}
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
		Length:    r.ContentLength,
		Major:     r.ProtoMajor,
		Minor:     r.ProtoMinor,
	}
	q.Fields = fieldsOf(r.Header)
	h.malformed = !wellFormed(q.Fields)
	announced := announcedTo(r)
	if r.Body != nil && r.Body != http.NoBody {
		h.body = newBody(h.w, r, limit)
		switch {
		case r.ContentLength == 0:
			h.malformed = h.malformed || h.body.isWrong()
		case r.ContentLength > 0 || !bodiless(r.Method) || !h.body.isEmpty():
			q.Body = h.body
		}
	}
	switch {
	case q.Body == nil:
		q.Length = 0
	case announced != "":
		q.Fields = append(q.Fields, message.Field{Name: "trailer", Value: announced})
	}
	return q
}

// announcedTo is what a field Trailer has said, as far as it is one. quic-go takes it out of the header section, and forgets it when the
// trailers are there.
func announcedTo(r *http.Request) string {
	names := make([]string, 0, len(r.Trailer))
	for name := range r.Trailer {
		if lower := strings.ToLower(name); message.ValidName(lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// bodiless holds for methods whose requests rarely have content.
func bodiless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	}
	return false
}

// targetOf returns path and query as the client sent them. A plain CONNECT has neither.
func targetOf(r *http.Request) string {
	if r.Method == http.MethodConnect && !strings.HasPrefix(r.RequestURI, "/") {
		return ""
	}
	return r.RequestURI
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

// wellFormed reports whether the fields may be passed on: quic-go lets values begin and end with blanks.
func wellFormed(f message.Fields) bool {
	for i := range f {
		if !message.ValidName(f[i].Name) || !message.ValidValue(f[i].Value) {
			return false
		}
	}
	return true
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
	h.writing.begin()
	h.w.WriteHeader(status)
	h.writing.end()
	closing := out["Connection"]
	clear(out)
	if closing != nil {
		out["Connection"] = closing
	}
	return nil
}

func (h *httpExchange) Last() { h.w.Header()["Connection"] = []string{"close"} }

func (h *httpExchange) Respond(status int, f message.Fields, end bool) error {
	// quic-go leaves fields that are announced as trailers out of the header section.
	h.header(f.Announcing(func(name string) bool { return !f.Has(name) }))
	h.w.WriteHeader(status)
	return nil
}

func (h *httpExchange) Write(p []byte) (int, error) {
	h.writing.begin()
	defer h.writing.end()
	return h.w.Write(p)
}

func (h *httpExchange) Flush() error {
	h.writing.begin()
	defer h.writing.end()
	return http.NewResponseController(h.w).Flush()
}

func (h *httpExchange) Finish(trailers message.Fields) error {
	out := h.w.Header()
	for _, field := range trailers {
		out.Add(http.TrailerPrefix+textproto.CanonicalMIMEHeaderKey(field.Name), field.Value)
	}
	return nil
}

// Abort leaves the panic to the end of the handler.
func (h *httpExchange) Abort() { h.aborted = true }

// Tunnel fails: extended CONNECT is not spoken over HTTP/3.
func (h *httpExchange) Tunnel(message.Fields) (io.ReadWriteCloser, error) {
	return nil, errors.New("no tunnels over this protocol")
}
