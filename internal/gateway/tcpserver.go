package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/usher-http/usher/internal/accesslog"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/h2"
)

// A tcpServer serves the TCP connections of one listener: it does the handshake, and finds out which protocol a connection speaks.
type tcpServer struct {
	gateway  *Gateway
	listener *listener
	entry    *entry
	timeouts config.Timeouts
	h2       h2.Config
	tls      *tls.Config   // nil: plaintext
	done     chan struct{} // closed when no connection is accepted any more

	mu       sync.Mutex
	young    map[*conn]struct{}  // whose protocol is not known yet
	conns    map[driver]struct{} // the others
	leaving  bool
	finished chan struct{} // made by shutdown; closed when young and conns are empty
}

// A driver serves a connection whose protocol is known. Its methods may be called by any goroutine.
type driver interface {
	serve(first []byte) // until the connection ends; first is what was read already
	leave()             // begins the graceful end; called again, it may wait for less
	close()             // ends the connection at once
}

// How many streams a client may have open on one connection.
const maxStreams = 250

func newTCPServer(l *listener) *tcpServer {
	g := l.gateway
	s := &tcpServer{
		gateway:  g,
		listener: l,
		entry:    &entry{g, l.door},
		timeouts: l.timeouts,
		h2:       h2.Config{MaxStreams: maxStreams, MaxHeaderBytes: maxHeaderBytes, Account: &l.gateway.unsent},
		done:     make(chan struct{}),
		young:    map[*conn]struct{}{},
		conns:    map[driver]struct{}{},
	}
	if l.https {
		base := g.baseTLS()
		if l.spec.H2 {
			base.NextProtos = append(base.NextProtos, "h2")
		}
		if l.spec.H1 {
			base.NextProtos = append(base.NextProtos, "http/1.1")
		}
		s.tls = g.guard.TLSConfig(base)
	}
	return s
}

// serve accepts until the listener is closed.
func (s *tcpServer) serve(in net.Listener) error {
	defer close(s.done)
	var pause time.Duration
	shortage := shortage{listener: s.listener}
	for {
		c, err := in.Accept()
		if err == nil {
			pause = 0
			if raw := c.(*conn); s.add(raw) {
				go s.take(raw)
			} else {
				raw.Close()
			}
			continue
		}
		short := isOneOf(err, shortages)
		if !short && !isOneOf(err, passing) || s.isLeaving() {
			return err
		}
		if short {
			shortage.tell(err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.debug(err)
		time.Sleep(pause)
	}
}

// passing are errors of accepting that say nothing of the socket, but of one connection.
var passing = []error{syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR}

func isOneOf(err error, list []error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}

func (s *tcpServer) debug(err error) {
	serverLog{s.gateway, s.listener.name}.Write([]byte(err.Error()))
}

// take finds out what a connection speaks.
func (s *tcpServer) take(raw *conn) {
	defer s.grown(raw)
	defer s.survive(raw)
	accepted := time.Now()
	var ctx context.Context
	ctx, raw.facts = s.gateway.guard.Accept(s.gateway.hard, s.listener.name, raw.Conn)
	if s.tls == nil {
		s.takePlain(raw, accepted)
		return
	}
	secured := tls.Server(raw, s.tls)
	raw.Conn.SetDeadline(time.Now().Add(s.timeouts.Handshake))
	if err := secured.HandshakeContext(ctx); err != nil {
		s.noHandshake(raw, err)
		return
	}
	raw.Conn.SetDeadline(time.Time{})
	cs := secured.ConnectionState()
	raw.facts.Secured(cs)
	raw.setProto(protoOfALPN(cs.NegotiatedProtocol))
	client := peerAt(raw)
	if len(cs.VerifiedChains) > 0 && len(cs.PeerCertificates) > 0 {
		client.certificate = clientCertificate(cs.PeerCertificates[0].Raw)
	}
	switch {
	case cs.NegotiatedProtocol == "h2":
		s.begin(newH2Conn(s, secured, raw, raw.facts, client), raw, nil)
	case !s.listener.spec.H1:
		secured.Close() // a client without ALPN where HTTP/1.1 is not spoken
	default:
		s.begin(newH1Conn(s, secured, raw, client, time.Now()), raw, nil)
	}
}

// survive is deferred by whoever works for a connection: a panic ends that one alone.
func (s *tcpServer) survive(raw *conn) {
	if p := recover(); p != nil {
		s.gateway.logger().Error("panic", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		raw.Close()
	}
}

func peerAt(raw *conn) *peer {
	remote := raw.RemoteAddr().String()
	return &peer{remote: remote, ip: hostOf(remote), lent: new(atomic.Int64)}
}

// begin serves a connection in its goroutine. The server knows it before it forgets that it was young.
func (s *tcpServer) begin(c driver, raw *conn, first []byte) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	delete(s.young, raw)
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		c.leave()
	} else {
		endMisled(c) // a reload may have come since its ORIGIN frame was made
	}
	c.serve(first)
}

// noHandshake ends a connection whose handshake failed. Who speaks HTTP to a TLS port is told so. Under TLS 1.3 clients send requests
// behind their certificate: without the drain many would see a reset in place of the alert.
func (s *tcpServer) noHandshake(raw *conn, err error) {
	defer raw.Close()
	if raw.heard.Load() {
		s.gateway.metrics.handshakeErrors.Inc()
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		s.entry.malformed(&accesslog.Line{
			Proto: "h1", Remote: raw.RemoteAddr().String(), Status: http.StatusBadRequest, Bytes: int64(len(speaksHTTPS)), Error: "no TLS where https is spoken",
		}, nil, time.Now())
		io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+speaksHTTPS)
	}
	s.debug(fmt.Errorf("TLS handshake with %s: %w", raw.RemoteAddr(), err))
	raw.drain()
}

const speaksHTTPS = "This port speaks https: ask for the same address with https:// in front.\n"

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
		return true
	}
	return false
}

// takePlain looks for HTTP/2's preface where the listener speaks it (RFC 9113 section 3.3: with prior knowledge).
func (s *tcpServer) takePlain(raw *conn, accepted time.Time) {
	var first []byte
	if s.listener.spec.H2 {
		var err error
		if first, err = s.readPreface(raw); err != nil && (len(first) == 0 || !s.listener.spec.H1) {
			raw.Close()
			return
		}
	}
	switch {
	case string(first) == preface:
		raw.setProto("h2")
		s.begin(newH2Conn(s, raw, raw, raw.facts, peerAt(raw)), raw, first)
	case s.listener.spec.H1:
		raw.setProto("h1")
		s.begin(newH1Conn(s, raw, raw, peerAt(raw), accepted), raw, first)
	default:
		raw.Close()
	}
}

// readPreface reads until what came is HTTP/2's preface, or cannot become it. With an error, what came may be the beginning of either:
// HTTP/1.1 has an answer to that.
func (s *tcpServer) readPreface(raw *conn) ([]byte, error) {
	raw.Conn.SetReadDeadline(time.Now().Add(s.timeouts.Header))
	defer raw.Conn.SetReadDeadline(time.Time{})
	first := make([]byte, 0, len(preface))
	for len(first) < len(preface) && strings.HasPrefix(preface, string(first)) {
		n, err := raw.Read(first[len(first):cap(first)])
		first = first[:len(first)+n]
		if n == 0 && err != nil {
			return first, err
		}
	}
	return first, nil
}

// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// add returns false where the server does not take connections any more.
func (s *tcpServer) add(raw *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished != nil && s.over() {
		return false
	}
	s.young[raw] = struct{}{}
	return true
}

// grown is called when somebody else has the connection, or nobody.
func (s *tcpServer) grown(raw *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, raw)
	s.tell()
}

func (s *tcpServer) forget(c driver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.tell()
}

// tell closes finished when there is nothing to wait for. The lock is held.
func (s *tcpServer) tell() {
	if s.finished != nil && !s.over() && len(s.young) == 0 && len(s.conns) == 0 {
		close(s.finished)
	}
}

func (s *tcpServer) over() bool {
	select {
	case <-s.finished:
		return true
	default:
		return false
	}
}

func (s *tcpServer) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

const (
	// How often a server that shuts down looks at its connections.
	tellEvery = 250 * time.Millisecond
	// How long a connection that was just accepted has to say something before a shutdown closes it.
	silentFor = 5 * time.Second
)

// shutdown ends the server gracefully, as long as ctx lasts. in has been closed.
func (s *tcpServer) shutdown(ctx context.Context) error {
	began := time.Now()
	select {
	case <-s.done: // so that no connection comes later
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	s.leaving = true
	if s.finished == nil {
		s.finished = make(chan struct{})
	}
	s.tell()
	s.mu.Unlock()
	for {
		s.tellAll(time.Since(began) > silentFor)
		select {
		case <-s.finished:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tellEvery):
		}
	}
}

// tellAll has every connection end gracefully, and those that were told before no longer wait for their clients to notice.
func (s *tcpServer) tellAll(closeSilent bool) {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	for raw := range s.young {
		if closeSilent && !raw.heard.Load() {
			raw.Conn.Close()
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.leave()
	}
}

// tellMisled has connections that were told of origins which a reload has taken away end gracefully.
func (s *tcpServer) tellMisled() {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		endMisled(c)
	}
}

func endMisled(c driver) {
	if c, ok := c.(*h2conn); ok && c.facts.MustLeave() {
		c.goAway()
	}
}

// close ends everything at once.
func (s *tcpServer) close() {
	s.mu.Lock()
	s.leaving = true
	for raw := range s.young {
		raw.Conn.Close()
	}
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
}
