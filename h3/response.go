package h3

import (
	"errors"
	"net/http"
	"strings"

	"github.com/quic-go/quic-go/http3"
)

// A response keeps out of HTTP/3 what must not be there: "An endpoint MUST NOT generate an HTTP/3 field section containing
// connection-specific fields" (RFC 9114 section 4.2). Handlers and the guard say Connection: close to every protocol; here it
// ends the connection gracefully.
type response struct {
	http.ResponseWriter
	closing bool // Connection: close was among the fields
	sent    bool // the header section is out of reach
}

var connectionSpecific = [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"}

// clean removes the connection-specific fields. quic-go reads the fields only when the header section is sent, which may be
// as late as after the handler, so clean goes before everything that may send it.
func (w *response) clean() {
	if w.sent {
		return
	}
	h := w.Header()
	for _, value := range h["Connection"] {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "close") {
				w.closing = true
			}
		}
	}
	for _, name := range connectionSpecific {
		delete(h, name)
	}
}

func (w *response) WriteHeader(status int) {
	w.clean()
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.clean()
	return w.ResponseWriter.Write(p)
}

func (w *response) Flush() { w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	w.clean()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.sent = err == nil
	return err
}

// Unwrap leads http.ResponseController to the deadlines.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// HTTPStream takes the stream over; see http3.HTTPStreamer.
func (w *response) HTTPStream() (*http3.Stream, error) {
	w.clean()
	s, ok := w.ResponseWriter.(http3.HTTPStreamer)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.HTTPStream()
}

// ReceivedSettings and Settings are those of http3.Settingser.
func (w *response) ReceivedSettings() <-chan struct{} {
	return w.ResponseWriter.(http3.Settingser).ReceivedSettings()
}

func (w *response) Settings() *http3.Settings { return w.ResponseWriter.(http3.Settingser).Settings() }

var (
	_ http.Flusher       = (*response)(nil)
	_ http3.HTTPStreamer = (*response)(nil)
	_ http3.Settingser   = (*response)(nil)
)
