package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines records the read deadlines of a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

// After its end a body of HTTP/1.1 must leave the connection alone: the deadline is the next request's by then.
func TestBodyLeavesTheNextRequestAlone(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	b := &body{ReadCloser: io.NopCloser(strings.NewReader("content")), control: http.NewResponseController(w), limit: time.Minute, http1: true}
	if text, err := io.ReadAll(b); string(text) != "content" || err != nil {
		t.Fatalf("read %q, %v", text, err)
	}
	if last := w.set[len(w.set)-1]; !last.IsZero() {
		t.Errorf("the deadline stays at %v when the content has ended", last)
	}
	b.Close()
	before := len(w.set)
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after close: %v", err)
	}
	if len(w.set) != before {
		t.Errorf("a read after the end set the deadline %v", w.set[before:])
	}
}
