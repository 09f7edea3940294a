package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// browser returns an ordinary client that reaches every host on the public listener, and the number of connections that
// it has made, but for those that it has given up of itself.
func (s *stage) browser(t testing.TB, proto string) (*http.Client, *atomic.Int64) {
	t.Helper()
	made := new(atomic.Int64)
	at := s.at(t, "public")
	config := &tls.Config{RootCAs: s.pool}
	if proto == "h3" {
		tr := &http3.Transport{TLSClientConfig: config}
		tr.Dial = func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			made.Add(1)
			return quic.DialAddr(ctx, at, c, q)
		}
		t.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr, Timeout: patience}, made
	}
	tr := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(proto == "h1")
	tr.Protocols.SetHTTP2(proto == "h2")
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		made.Add(1)
		return new(net.Dialer).DialContext(ctx, network, at)
	}
	if proto == "h1" {
		tr.DialTLSContext = func(ctx context.Context, network, name string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(name)
			made.Add(1)
			nc, err := (&tls.Dialer{Config: &tls.Config{RootCAs: s.pool, ServerName: host}}).DialContext(ctx, network, at)
			if err != nil {
				return nil, err
			}
			return &fickle{Conn: nc, made: made}, nil
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}, made
}

// A fickle is a connection of net/http's client of HTTP/1.1, which keeps one only if it knows 50 ms after the answer's end that the request
// was written: where the goroutine that writes comes late to that, it closes the connection, whatever the server has said. Then it counts
// for nothing.
type fickle struct {
	net.Conn
	made  *atomic.Int64
	ended atomic.Bool // by the server, or counted already
}

func (c *fickle) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

func (c *fickle) Close() error {
	if !c.ended.Swap(true) {
		c.made.Add(-1)
	}
	return c.Conn.Close()
}

// steady is somebody who uses the server all the time, over each protocol, while others misbehave. The function that it
// returns ends it: every request must have been answered, those of a protocol on at most so many connections.
func (s *stage) steady(t testing.TB) (stop func(connections int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	type result struct {
		proto    string
		answered int
		made     int64
		pause    time.Duration // the longest between two answers
		err      error
	}
	results := make(chan result, len(protocols))
	var first sync.WaitGroup
	for _, proto := range protocols {
		c, made := s.browser(t, proto)
		url := s.text(t, "https://shop.test:PORT/")
		first.Add(1)
		clients.Go(func() {
			r := result{proto: proto}
			var once sync.Once
			defer once.Do(first.Done)
			last := time.Now()
			for ctx.Err() == nil && r.err == nil {
				r.err = fetch(c, url)
				r.answered++
				r.pause = max(r.pause, time.Since(last))
				last = time.Now()
				once.Do(first.Done)
				// A pause, no wait: two cores are for others too.
				time.Sleep(10 * time.Millisecond)
			}
			r.made = made.Load()
			results <- r
		})
	}
	first.Wait()
	return func(connections int64) {
		t.Helper()
		cancel()
		clients.Wait()
		for range protocols {
			r := <-results
			// Where the machine kept a client waiting for long, its connection may have been idle for too long.
			if r.err != nil || r.made > connections && r.pause < time.Second {
				t.Errorf("%s: request %d of the steady client, on connection %d: %v", r.proto, r.answered, r.made, r.err)
			}
		}
	}
}

func fetch(c *http.Client, url string) error {
	var used net.Conn
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { used = i.Conn }})
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	w, err := c.Do(r)
	if err != nil {
		return err
	}
	if w.Close {
		used.(*fickle).ended.Store(true) // it closes the connection because it was told to
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err == nil && (w.StatusCode != 200 || string(body) != "the shop\n") {
		err = fmt.Errorf("%d %q", w.StatusCode, body)
	}
	return err
}
