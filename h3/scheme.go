package h3

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3/qlog"
)

// schemes holds the :scheme of header sections that were read and whose handler has not begun. It is safe for
// concurrent use.
type schemes struct {
	mu       sync.Mutex
	byStream map[quic.StreamID]string

	goAway chan struct{} // closed when http3 is about to write GOAWAY
	toldOf sync.Once
}

func newSchemes() *schemes { return &schemes{goAway: make(chan struct{})} }

func (s *schemes) goesAway() { s.toldOf.Do(func() { close(s.goAway) }) }

const (
	// Requests that quic-go rejects after it has reported their header section never take what is held for them, and neither
	// do trailers with a :scheme. So the oldest go when there are too many. Between report and handler nothing waits: a
	// request that loses its scheme all the same is answered 500, and only its own connection can do that to it.
	maxSchemes = 256
	// Longer schemes are none that anybody serves; they are cut so that held ones need little memory.
	maxScheme = 32
)

// read holds the scheme of a header section; the empty string where there is none.
func (s *schemes) read(id quic.StreamID, fields []qlog.HeaderField) {
	scheme := ""
	for i := range fields {
		if fields[i].Name == ":scheme" {
			scheme = fields[i].Value
			break
		}
	}
	if len(scheme) > maxScheme {
		scheme = strings.Clone(scheme[:maxScheme])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byStream == nil {
		s.byStream = map[quic.StreamID]string{}
	}
	if len(s.byStream) >= maxSchemes {
		s.dropOldest()
	}
	s.byStream[id] = scheme
}

func (s *schemes) dropOldest() {
	oldest := quic.StreamID(-1)
	for id := range s.byStream {
		if oldest < 0 || id < oldest {
			oldest = id
		}
	}
	delete(s.byStream, oldest)
}

// take returns the scheme that the stream's request came with. ok is false where its header section was not seen.
func (s *schemes) take(id quic.StreamID) (scheme string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scheme, ok = s.byStream[id]
	delete(s.byStream, id)
	return scheme, ok
}

func (s *schemes) takeFor(r *http.Request) (scheme string, ok bool) {
	body, ok := r.Body.(interface{ StreamID() quic.StreamID })
	if !ok {
		return "", false
	}
	return s.take(body.StreamID())
}

type schemesKey struct{}

func withSchemes(ctx context.Context) context.Context {
	return context.WithValue(ctx, schemesKey{}, newSchemes())
}

// schemesOf returns the connection's schemes, and new ones, which nobody will ask, for a context of somebody else.
func schemesOf(ctx context.Context) *schemes {
	if s, ok := ctx.Value(schemesKey{}).(*schemes); ok {
		return s
	}
	return newSchemes()
}

// withoutScheme takes the scheme out of the URL again: handlers that were written for net/http print r.URL into
// Location fields, and expect to find path and query alone.
type withoutScheme struct{ next http.Handler }

func (h withoutScheme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Scheme = ""
	h.next.ServeHTTP(w, r)
}
