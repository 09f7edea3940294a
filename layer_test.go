package usher

import (
	"crypto/tls"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A program that makes configurations for every handshake keeps none of them alive.
func TestLayersAreForgotten(t *testing.T) {
	var g Guard
	kept := g.TLSConfig(nil)
	for range 1000 {
		g.TLSConfig(new(tls.Config))
	}
	var n int
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
		runtime.GC()
		g.layers.mu.Lock()
		n = len(g.layers.byOut)
		g.layers.mu.Unlock()
		if n < 10 {
			break
		}
		time.Sleep(time.Millisecond) // cleanups run in a goroutine of the runtime
	}
	if n >= 10 {
		t.Errorf("%d configurations are held", n)
	}
	if g.TLSConfig(kept) != kept {
		t.Error("a configuration in use is forgotten, and wrapped twice")
	}
	runtime.KeepAlive(kept)
}

// The protocols are read from a field that crypto/tls does not export: a Go release without it is noticed here.
func TestOfferedIsRead(t *testing.T) {
	var got []string
	server := &tls.Config{NextProtos: []string{"x", "y"}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		got = offered(hello, []string{"own"})
		return nil, nil
	}}
	a, b := net.Pipe()
	defer a.Close()
	go tls.Client(a, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"}).Handshake()
	if err := tls.Server(b, server).Handshake(); err == nil {
		t.Error("a handshake without a certificate")
	}
	if !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("got %q", got)
	}
	if got := offered(&tls.ClientHelloInfo{}, []string{"own"}); !slices.Equal(got, []string{"own"}) {
		t.Errorf("without a configuration: %q", got)
	}
}
