package usher

import (
	"crypto/tls"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"weak"
)

// A layer is one TLS configuration made by TLSConfig: what the caller gave, and what servers use in its place.
type layer struct {
	guard  *Guard
	out    *tls.Config
	keys   *tls.Config // its ticket keys encrypt the tickets of all configurations that come from it
	client func(*tls.ClientHelloInfo) (*tls.Config, error)
	server *http.Server // that was prepared with it, or nil

	once   sync.Once
	frozen *tls.Config
}

// newLayer makes a layer whose configuration is out, a clone that nobody else has.
func (g *Guard) newLayer(out *tls.Config, client func(*tls.ClientHelloInfo) (*tls.Config, error), keys *tls.Config) *layer {
	y := &layer{guard: g, out: out, keys: keys, client: client}
	if keys == nil {
		y.keys = out
	}
	out.GetConfigForClient = y.configFor
	g.layers.add(y)
	return y
}

// own returns the configuration as it was at the first handshake. Servers that are set up later with the same
// configuration write to it (http2.ConfigureServer), while handshakes of the earlier ones read it.
func (y *layer) own() *tls.Config {
	y.once.Do(func() { y.frozen = y.out.Clone() })
	return y.frozen
}

// layers are found again by the configuration that servers hold, so that a configuration is wrapped once only. They are
// held weakly: the configuration itself holds its layer.
type layers struct {
	mu    sync.Mutex
	byOut map[weak.Pointer[tls.Config]]weak.Pointer[layer]
}

func (l *layers) of(c *tls.Config) *layer {
	l.mu.Lock()
	defer l.mu.Unlock()
	y := l.byOut[weak.Make(c)].Value()
	if y == nil || c.GetConfigForClient == nil ||
		reflect.ValueOf(c.GetConfigForClient).Pointer() != reflect.ValueOf(y.configFor).Pointer() {
		return nil // or the caller has put a function of their own in its place, which is to be wrapped
	}
	return y
}

func (l *layers) add(y *layer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byOut == nil {
		l.byOut = map[weak.Pointer[tls.Config]]weak.Pointer[layer]{}
	}
	key := weak.Make(y.out)
	l.byOut[key] = weak.Make(y)
	runtime.AddCleanup(y.out, l.forget, key)
}

func (l *layers) forget(key weak.Pointer[tls.Config]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byOut, key)
}
