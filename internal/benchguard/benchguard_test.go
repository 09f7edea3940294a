package benchguard

import (
	"crypto/tls"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/rawh2"
)

var (
	enabled  = flag.Bool("bench-guard", false, "measure (it takes about half a minute)")
	pairs    = flag.Int("bench-guard-pairs", 20, "alternating pairs, at least 10")
	requests = flag.Int("bench-guard-requests", 20000, "requests of one run")
)

// The load: as many streams at once on as many connections. Two hosts take turns, as on a coalesced connection.
const (
	connections = 8
	streams     = 10
)

// TestBenchGuard prints the median of the ratios of at least 10 alternating pairs of runs with and without the guard.
func TestBenchGuard(t *testing.T) {
	if !*enabled {
		t.Skip("this is a measurement: run it with make bench-guard")
	}
	if *pairs < 10 {
		t.Fatalf("-bench-guard-pairs=%d: at least 10", *pairs)
	}
	fresh := func(kind string) func() run {
		return func() run {
			s := startServer(t, kind)
			defer s.stop()
			l := newLoad(t, s)
			defer l.close()
			l.run(t) // warm up
			return l.run(t)
		}
	}
	b, g := alternate(*pairs, fresh("bare"), fresh("guard"))
	fmt.Printf("HTTP/2 over TLS on loopback, %d connections with %d streams, %d alternating pairs of %d requests\n",
		connections, streams, *pairs, *requests)
	report(b, g)
}

// alternate runs pairs in which each comes first in turn. Each run has a server process of its own: two processes of one
// program differ by some per cent for as long as they live, which pairs of runs on the same two would take for an effect.
func alternate(pairs int, without, with func() run) (a, b []run) {
	for i := range pairs {
		if i%2 == 0 {
			a, b = append(a, without()), append(b, with())
		} else {
			b, a = append(b, with()), append(a, without())
		}
	}
	return a, b
}

// A run is what one run took.
type run struct {
	rate float64 // requests/s
	cpu  float64 // microseconds of the server's processor time per request
}

func report(bare, guard []run) {
	var rates, cpus [2][]float64
	var rate, cpu []float64
	for i := range bare {
		rates[0], rates[1] = append(rates[0], bare[i].rate), append(rates[1], guard[i].rate)
		cpus[0], cpus[1] = append(cpus[0], bare[i].cpu), append(cpus[1], guard[i].cpu)
		rate, cpu = append(rate, guard[i].rate/bare[i].rate), append(cpu, guard[i].cpu/bare[i].cpu)
	}
	fmt.Printf("                       without       with   ratio with/without: median [interval] (confidence)\n")
	fmt.Printf("requests/s            %8.0f   %8.0f   %v\n", estimateOf(rates[0]).median, estimateOf(rates[1]).median, estimateOf(rate))
	fmt.Printf("server CPU us/request %8.2f   %8.2f   %v\n", estimateOf(cpus[0]).median, estimateOf(cpus[1]).median, estimateOf(cpu))
}

// A load is a set of connections to a server.
type load struct {
	server *server
	conns  []*rawh2.Conn
}

func newLoad(t *testing.T, s *server) *load {
	t.Helper()
	l := &load{server: s}
	for range connections {
		nc, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		c, err := rawh2.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		l.conns = append(l.conns, c)
	}
	return l
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
}

func (l *load) run(t *testing.T) run {
	t.Helper()
	cpu, begin := l.server.cpu(t), time.Now()
	var wg sync.WaitGroup
	each := max(*requests/connections/streams, 1)
	for _, c := range l.conns {
		wg.Go(func() {
			for range each {
				if err := batch(c); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	n := float64(each * connections * streams)
	took := time.Since(begin)
	return run{n / took.Seconds(), float64((l.server.cpu(t) - cpu).Microseconds()) / n}
}

func batch(c *rawh2.Conn) error {
	var ids [streams]uint32
	for i := range ids {
		var err error
		host := [...]string{"a.test", "b.test"}[i%2]
		if ids[i], err = c.Send(rawh2.Get("https", host, "/"), nil); err != nil {
			return err
		}
	}
	for _, id := range ids {
		r, err := c.Receive(id)
		if err != nil {
			return err
		}
		if r.Status != 200 {
			return fmt.Errorf("status %d", r.Status)
		}
	}
	return nil
}

// The load works, with few requests: a measurement that is never run breaks unseen.
func TestLoad(t *testing.T) {
	for _, kind := range []string{"bare", "guard"} {
		l := newLoad(t, startServer(t, kind))
		if err := batch(l.conns[0]); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if cpu := l.server.cpu(t); cpu <= 0 {
			t.Errorf("%s: processor time %v", kind, cpu)
		}
	}
}
