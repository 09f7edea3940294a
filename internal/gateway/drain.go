package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// How long handlers get to notice that they were cut, so that their log lines are written.
const cutGrace = 2 * time.Second

// Shutdown ends the gateway. From its first moment on /readyz answers 503 and no connection is accepted. Every request
// whose header section was read before is answered, upgraded connections included, within timeouts.drain of the
// configuration and as long as ctx lasts; then everything is closed. The error says how many requests were cut; nil:
// none. The admin listener goes last. Later calls wait for the first one and return nil.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.NotReady()
	g.change.Lock()
	if g.stopped {
		g.change.Unlock()
		<-g.closed
		return nil
	}
	g.stopped = true
	listeners, limit := g.listeners, g.loaded.Timeouts.Drain
	g.change.Unlock()
	close(g.stopping)

	began := time.Now()
	g.logger().Info("draining", "limit", limit.String())
	drain, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var fronts sync.WaitGroup
	for _, l := range listeners {
		if l.socket.tcp != nil {
			l.socket.tcp.Close() // who comes now is refused and can go elsewhere at once
		}
		for _, f := range l.fronts() {
			// What an error would say is counted below: what is left is cut.
			fronts.Go(func() { f.shutdown(drain) })
		}
	}
	fronts.Wait()
	cut := g.flights.wait(drain)
	g.cutAll()
	for _, l := range listeners {
		for _, f := range l.fronts() {
			f.close()
		}
		l.socket.closeBut(new(socket))
	}
	g.leaving.Wait()
	grace, cancelGrace := context.WithTimeout(context.Background(), cutGrace)
	g.flights.wait(grace)
	cancelGrace()
	g.renewal.Wait()
	why := "they had not ended within timeouts.drain"
	if ctx.Err() != nil {
		why = "the gateway was told to end at once"
	}
	return g.finish(cut, why, time.Since(began))
}

// NotReady has /readyz answer 503 from now on. Shutdown begins with it; who announces a shutdown calls it before.
func (g *Gateway) NotReady() { g.draining.Store(true) }

// finish is what is left when nothing is served any more. why is the reason for which requests were cut.
func (g *Gateway) finish(cut int, why string, took time.Duration) error {
	var err error
	if cut > 0 {
		err = fmt.Errorf("requests cut: %d; %s", cut, why)
		g.logger().Warn("ended", "cut", cut, "duration", took.Seconds())
	} else {
		g.logger().Info("ended", "cut", 0, "duration", took.Seconds())
	}
	g.crew.end()
	g.admin.close()
	g.output.close()
	g.end(nil)
	close(g.closed)
	return err
}
