package h3_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/usher-http/usher/internal/rawh3"
)

type connectionKey struct{}

// What ConnContext adds is one for all requests of a connection, and another one for the next connection.
func TestConnContext(t *testing.T) {
	w := newWorld(t)
	var connections atomic.Int64
	w.server.ConnContext = func(ctx context.Context) context.Context {
		return context.WithValue(ctx, connectionKey{}, int(connections.Add(1)))
	}
	w.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number, _ := r.Context().Value(connectionKey{}).(int)
		fmt.Fprint(w, number)
	})
	w.serve(t)
	var seen []string
	for range 2 {
		c := w.dial(t, w.tls("open.example"))
		for range 2 {
			seen = append(seen, string(do(t, c, rawh3.Get("open.example", "/")).Body))
		}
	}
	if want := []string{"1", "1", "2", "2"}; !slices.Equal(seen, want) {
		t.Errorf("the requests of two connections have %q, want %q", seen, want)
	}
}
