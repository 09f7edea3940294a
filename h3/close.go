package h3

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Shutdown ends the server gracefully: new connections are refused, every connection is told to go away (GOAWAY, RFC
// 9114 section 5.2), and requests whose header section was read before are answered. Each connection is closed by its client, or
// by the server: when it has had no request lately, else 5 seconds after its last response has arrived, which its client may still be reading.
// It returns nil when all of that is done. If ctx ends first, it returns the error of ctx; then Close ends what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.beginClosing()
	conns := slices.Collect(maps.Keys(s.conns))
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.noteEmpty()
	s.mu.Unlock()
	for _, c := range conns {
		c.end()
	}
	select {
	case <-empty:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.closeEndpoints()
	return nil
}

// Close ends the server at once: connections are closed with H3_NO_ERROR, and the contexts of requests in flight are
// cancelled. It does not wait for handlers. It returns nil.
func (s *Server) Close() error {
	s.mu.Lock()
	s.beginClosing()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() { c.close() })
	}
	all.Wait()
	s.closeEndpoints()
	return nil
}

// beginClosing makes Serve return. The mutex is held.
func (s *Server) beginClosing() {
	if s.closing {
		return
	}
	s.closing = true
	if s.closed == nil {
		s.closed = make(chan struct{})
	}
	close(s.closed)
}

func (s *Server) closeEndpoints() {
	s.mu.Lock()
	endpoints := slices.Collect(maps.Keys(s.endpoints))
	s.mu.Unlock()
	for _, e := range endpoints {
		s.remove(e)
	}
}

// remove closes an endpoint; connections that it still has are cut off.
func (s *Server) remove(e *endpoint) {
	e.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.endpoints, e)
}
