//go:build linux

package benchproxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/rawh2"
)

// echoName is who idle connections are compared with: a bare TLS server.
const echoName = "echo"

// An idle is what the memory of idle connections was: resident KiB for each of Connections, above that of the same process
// after a few connections that are closed again.
type idle struct {
	Contender   string
	Round       int
	Connections int
	RSS         float64
}

func (b *bench) idleRound(t *testing.T, r *results, who []contender, round int) {
	t.Helper()
	add := func(name string, each float64, err error) {
		if err != nil {
			t.Errorf("%s, %s: %v", idleWork, name, err)
			return
		}
		r.Idle = append(r.Idle, idle{name, round, *idleConns, each})
		fmt.Printf("round %d %-10s %-8s %6.1f KiB RSS a connection\n", round+1, idleWork, name, each)
	}
	e := startChild(t, "echo", b.certs.CertA, b.certs.KeyA)
	each, err := idleRSS(e.tree, func() (io.Closer, func() error, error) { return b.openEcho(e.addr) })
	e.stop()
	add(echoName, each, err)
	for _, c := range who {
		p, err := c.start(t, b.certs, b.upstream.addr)
		if err == nil {
			each, err = idleRSS(p.tree, func() (io.Closer, func() error, error) { return b.openHTTP2(p.addr) })
			p.stop()
			os.RemoveAll(p.dir)
		}
		add(c.name, each, err)
	}
}

// idleRSS opens connections, uses each once, lets them rest, and returns how many KiB of RSS each of them needs.
func idleRSS(t tree, open func() (io.Closer, func() error, error)) (float64, error) {
	_, closeFew, err := openMany(32, open)
	closeFew()
	if err != nil {
		return 0, err
	}
	time.Sleep(*settle / 3)
	before, err := t.kilobytes("status", "VmRSS")
	if err != nil {
		return 0, err
	}
	use, closeAll, err := openMany(*idleConns, open)
	defer closeAll()
	if err != nil {
		return 0, err
	}
	time.Sleep(*settle)
	after, err := t.kilobytes("status", "VmRSS")
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(use); i += len(use)/10 + 1 {
		if err := use[i](); err != nil {
			return 0, fmt.Errorf("a connection that was idle: %w", err)
		}
	}
	return float64(after-before) / float64(*idleConns), nil
}

// openMany opens n connections and uses each once. What it returns uses one again, and closes all.
func openMany(n int, open func() (io.Closer, func() error, error)) (use []func() error, closeAll func(), err error) {
	var (
		mu    sync.Mutex
		conns []io.Closer
		wg    sync.WaitGroup
		todo  = make(chan struct{}, n)
	)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	for range 8 {
		wg.Go(func() {
			for range todo {
				c, once, e := open()
				if e == nil {
					e = once()
				}
				mu.Lock()
				if c != nil {
					conns = append(conns, c)
				}
				use = append(use, once)
				if e != nil {
					err = e
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return use, func() {
		for _, c := range conns {
			c.Close()
		}
	}, err
}

func (b *bench) dial(addr string, protocols ...string) (*tls.Conn, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", addr,
		&tls.Config{ServerName: hostA, RootCAs: b.certs.ca.Pool(), NextProtos: protocols})
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(5 * time.Minute))
}

func (b *bench) openEcho(addr string) (io.Closer, func() error, error) {
	c, err := b.dial(addr)
	if err != nil {
		return nil, nil, err
	}
	return c, func() error {
		text := []byte("one word and back again")
		if _, err := c.Write(text); err != nil {
			return err
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, text) {
			return fmt.Errorf("%q came back: %v", got, err)
		}
		return nil
	}, nil
}

func (b *bench) openHTTP2(addr string) (io.Closer, func() error, error) {
	nc, err := b.dial(addr, "h2")
	if err != nil {
		return nil, nil, err
	}
	if p := nc.ConnectionState().NegotiatedProtocol; p != "h2" {
		return nc, nil, fmt.Errorf("protocol %q", p)
	}
	c, err := rawh2.New(nc)
	if err != nil {
		return nc, nil, err
	}
	return c, func() error {
		r, err := c.Do(rawh2.Get("https", hostA, "/"), nil)
		switch {
		case err != nil:
			return err
		case r.Status != 200 || string(r.Body) != smallBody:
			return fmt.Errorf("status %d, %q", r.Status, r.Body)
		}
		return nil
	}, nil
}

// Idle connections of the bare server need some memory, and can be used again.
func TestIdle(t *testing.T) {
	b := &bench{certs: makeCertificates(t, t.TempDir())}
	e := startChild(t, "echo", b.certs.CertA, b.certs.KeyA)
	use, closeAll, err := openMany(20, func() (io.Closer, func() error, error) { return b.openEcho(e.addr) })
	defer closeAll()
	if err != nil || len(use) != 20 {
		t.Fatalf("%d connections, %v", len(use), err)
	}
	if err := use[19](); err != nil {
		t.Error(err)
	}
	closeAll()
	if use[19]() == nil {
		t.Error("a closed connection was used")
	}
	if _, _, err := openMany(1, func() (io.Closer, func() error, error) { return b.openHTTP2(e.addr) }); err == nil {
		t.Error("the echo of HTTP/2 was taken for HTTP/2")
	}
}
