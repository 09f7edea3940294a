package gateway

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lastMoment is a stream that takes, and brings, content at the very instant at which a limit of time passes.
type lastMoment struct {
	http.ResponseWriter
	limit  time.Duration
	broken atomic.Bool
}

func (l *lastMoment) Write(p []byte) (int, error) {
	time.Sleep(l.limit)
	return len(p), nil
}

func (l *lastMoment) Read(p []byte) (int, error) {
	time.Sleep(l.limit)
	return len(p), nil
}

func (l *lastMoment) Close() error { return nil }

func (l *lastMoment) SetWriteDeadline(time.Time) error {
	l.broken.Store(true)
	return nil
}

func (l *lastMoment) SetReadDeadline(time.Time) error {
	l.broken.Store(true)
	return nil
}

// A limit that passes while what it is for comes to its end either counts, or does not: it does not break what follows.
func TestLimitThatPassesAtTheEnd(t *testing.T) {
	const limit = time.Second
	for name, begin := range map[string]func(*lastMoment) func(p []byte) (int, error){
		"a write": func(l *lastMoment) func(p []byte) (int, error) {
			h := newHTTPExchange(l, httptest.NewRequestWithContext(withH3Conn(t.Context()), "GET", "/", nil))
			h.writing.limit = limit
			return h.Write
		},
		"a read": func(l *lastMoment) func(p []byte) (int, error) {
			return newBody(l, &http.Request{Body: l}, limit).Read
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 2000 {
					l := &lastMoment{limit: limit}
					call := begin(l)
					call(make([]byte, 1))
					before := l.broken.Load()
					synctest.Wait()
					if !before && l.broken.Load() {
						t.Fatal("the stream was broken when the call had returned")
					}
				}
			})
		})
	}
}
