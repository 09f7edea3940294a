package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A tunnel whose client is gone ends, after timeouts.idle where it is not known whether it is, whatever the upstream does with its half of it.
func TestH1TunnelClientIsGone(t *testing.T) {
	asked, over := make(chan struct{}, 10), make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		asked <- struct{}{}
		<-over
	})
	t.Cleanup(func() { close(over) })
	for name, test := range map[string]struct {
		limits string
		leave  func(*tls.Conn)
	}{
		"with a reset":           {"", func(c *tls.Conn) { c.NetConn().(*net.TCPConn).SetLinger(0); c.NetConn().Close() }},
		"without TLS's farewell": {"timeouts: {idle: 300ms}\n", func(c *tls.Conn) { c.NetConn().Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, mixed(up.URL)+test.limits)
			c := d.securedFor(t, "http/1.1")
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			wait(t, "the upgrade", asked)
			if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 101"))); err != nil {
				t.Fatal(err)
			}
			test.leave(c)
			d.wantNothingLeft(t)
		})
	}
}

// An upstream that still has something to say has its time.
func TestCountedStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, over := counted{Writer: io.Discard}, make(chan struct{})
		go func() {
			for range 10 {
				time.Sleep(600 * time.Millisecond)
				io.WriteString(&w, "still there")
			}
		}()
		began := time.Now()
		if !w.stops(time.Second, over) {
			t.Error("over, though nobody said so")
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("stopped after %v; the last was written after 6 s, and the limit is 1 s", took)
		}
		time.AfterFunc(time.Second/2, func() { close(over) })
		if w.stops(time.Second, over) {
			t.Error("it was over before the limit")
		}
		if w.stops(0, nil) {
			t.Error("without a limit")
		}
	})
}

// securedFor connects to the site a for a protocol.
func (d *driven) securedFor(t *testing.T, alpn string) *tls.Conn {
	t.Helper()
	nc := tls.Client(d.dial(t), &tls.Config{ServerName: "a.test.example", RootCAs: d.folder.ca.Pool(), NextProtos: []string{alpn}})
	if err := nc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return nc
}
