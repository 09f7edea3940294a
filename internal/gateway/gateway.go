// Package gateway runs a configuration: listeners, certificates, routes, logs, metrics and the admin listener, on top of
// one usher.Guard.
//
// The way of a request: a listener's socket, TLS by SNI, HTTP/1.1, 2 or 3, the guard (one call of Decide), the route of
// the site that the verdict names, its action, the access log and the metrics.
package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/h2"
	"github.com/usher-http/usher/internal/localca"
)

// Options are the surroundings of a gateway. The zero value is ready for use.
type Options struct {
	// Log is where the log goes. nil: where the configuration's log.output says. Writes come one at a time, a line each.
	Log io.Writer
	// Stderr is where it is told that the log cannot be written. nil: os.Stderr. Writes come one at a time.
	Stderr io.Writer
	// Version is shown in the metric usher_build_info and nowhere else. Empty: "unknown".
	Version string
	// Clock tells the time for certificates. nil: time.Now.
	Clock func() time.Time

	renewEvery time.Duration // how often certificates are looked at; 0: an hour
}

// An Address is a socket of the gateway.
type Address struct {
	Listener string   // its name in the configuration
	Network  string   // "tcp" or "udp"
	Addr     net.Addr // where it is bound; with port 0 in the configuration, the port that the system chose
}

// A Gateway serves a configuration until it is shut down. Make one with [Start]. Its methods are safe for concurrent
// use.
type Gateway struct {
	options Options
	guard   *usher.Guard
	metrics *metrics
	output  *output
	rules   atomic.Pointer[rules]
	flights flights
	crew    crew
	budget  budget
	unsent  h2.Account // what clients of HTTP/2 and HTTP/3 have not taken of their answers

	// hard ends what the drain time-out cuts: it is the parent of every request's context.
	hard    context.Context
	cutAll  context.CancelFunc
	done    chan struct{}
	ended   sync.Once
	err     error          // valid once done is closed
	leaving sync.WaitGroup // servers that a reload took out of service and that still drain
	parting parting        // the UDP ports of those of them that serve HTTP/3
	renewal sync.WaitGroup

	draining atomic.Bool
	stopping chan struct{} // closed by the first Shutdown when it begins
	closed   chan struct{} // closed by the first Shutdown when it ends

	change    sync.Mutex // held by Reload, by the renewal of certificates and by the beginning of Shutdown
	stopped   bool
	loaded    *config.Loaded
	compiled  usher.Config
	listeners []*listener
	admin     *admin
	ca        *localca.Store // nil: no site needs it
}

// rules are what requests look up besides the table. They are swapped whole.
type rules struct {
	logger   *slog.Logger
	access   *accessLog // nil: requests are not logged
	timeouts config.Timeouts
}

// Start binds every socket of the configuration and serves, or binds none and says why. It returns when all listeners
// serve. ctx is for the start alone: the gateway outlives it and ends by [Gateway.Shutdown].
func Start(ctx context.Context, l *config.Loaded, o Options) (*Gateway, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.renewEvery == 0 {
		o.renewEvery = time.Hour
	}
	g := &Gateway{
		unsent:  h2.Account{Soft: lessUnsent, Hard: mostUnsent},
		options: o,
		guard:   new(usher.Guard),
		metrics: newMetrics(o.Version),
		output:  new(output),
		done:    make(chan struct{}),

		stopping: make(chan struct{}),
		closed:   make(chan struct{}),
	}
	g.output.outage = &outage{stderr: o.Stderr, total: g.metrics.logLost}
	g.hard, g.cutAll = context.WithCancel(context.Background())
	if err := g.start(ctx, l); err != nil {
		g.cutAll()
		g.output.close()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context, l *config.Loaded) error {
	g.change.Lock()
	defer g.change.Unlock()
	admin, err := g.bindAdmin(ctx, l.Admin)
	if err != nil {
		return inFile(l.Path, err)
	}
	if err := g.apply(ctx, l); err != nil {
		admin.close()
		return err
	}
	g.admin = admin
	g.admin.serve(l.Admin)
	g.renewal.Go(g.renewWhileRunning)
	return nil
}

// Reload puts another configuration in place of the one that is served: all of it or, with an error, nothing. New
// sockets are bound before anything changes. Listeners whose address stays keep their sockets, and those that stay as
// they are keep their connections, which are judged by the new rules. Listeners that go are drained in the background
// within timeouts.drain.
//
// The admin listener's address and the state folder cannot change while running. A listener with HTTP/3 cannot change
// its name, since a UDP socket cannot be handed on with its connections.
func (g *Gateway) Reload(l *config.Loaded) error {
	err := g.reload(l)
	g.metrics.reloaded(err)
	if err != nil {
		g.logger().Error("reload failed, the old configuration stays", "error", err.Error())
		return err
	}
	g.logger().Info("reloaded", "file", l.Path)
	return nil
}

// ReloadFailed counts and logs a reload that ended before there was a configuration to give to Reload: the file has
// mistakes, say.
func (g *Gateway) ReloadFailed(err error) {
	g.metrics.reloaded(err)
	g.logger().Error("reload failed, the old configuration stays", "error", err.Error())
}

// Addresses returns the sockets of the listeners, in the order of the configuration.
func (g *Gateway) Addresses() []Address {
	g.change.Lock()
	defer g.change.Unlock()
	var list []Address
	for _, l := range g.listeners {
		list = append(list, l.addresses()...)
	}
	return list
}

// AdminAddress returns where the admin listener is bound; nil where there is none.
func (g *Gateway) AdminAddress() net.Addr {
	g.change.Lock()
	defer g.change.Unlock()
	return g.admin.addr()
}

// Done is closed when the gateway has ended: after Shutdown, or because a listener failed.
func (g *Gateway) Done() <-chan struct{} { return g.done }

// Err tells why the gateway ended: nil after a Shutdown, and before Done is closed.
func (g *Gateway) Err() error {
	select {
	case <-g.done:
		return g.err
	default:
		return nil
	}
}

func (g *Gateway) end(err error) {
	g.ended.Do(func() {
		g.err = err
		close(g.done)
	})
}

func (g *Gateway) logger() *slog.Logger { return g.rules.Load().logger }
