package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/localca"
	"github.com/usher-http/usher/internal/testenv"
)

// A clock that tests set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(c.at.Load(), 0) }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d / time.Second)) }
func newClock() *clock               { c := new(clock); c.at.Store(time.Now().Unix()); return c }

const local = `
listeners: [{name: tls, address: "127.0.0.1:0", public_ports: [443]}]
sites:
  - name: a
    hosts: [a.test.example, "*.a.test.example", "a.test.example:8443"]
    tls: {issuer: local}
    routes: [{path: /, respond: {body: "site a\n"}}]
  - name: own
    hosts: [own.test.example]
    tls: {certificates: [{certificate: own.pem, key: own.key}]}
    routes: [{path: /, respond: {body: "site own\n"}}]
`

// presented returns the leaf that a handshake shows.
func (r *running) presented(t *testing.T, sni string, at time.Time) *x509.Certificate {
	t.Helper()
	pool := r.folder.ca.Pool()
	pool.AddCert(r.ca.Root())
	c, err := tls.Dial("tcp", r.addr(t, "tls"), &tls.Config{RootCAs: pool, ServerName: sni, Time: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestLocalCertificatesAreRenewedWhileRunning(t *testing.T) {
	f, c := newFolder(t), newClock()
	r := f.startWith(t, local, Options{Clock: c.now, renewEvery: 2 * time.Millisecond})
	if _, err := os.Stat(filepath.Join(f.dir, "state", "ca", localca.RootFile)); err != nil {
		t.Fatal(err)
	}
	first := r.presented(t, "a.test.example", c.now())
	if sub := r.presented(t, "sub.a.test.example", c.now()); !sub.Equal(first) {
		t.Error("the wildcard has another certificate")
	}
	own := r.presented(t, "own.test.example", c.now())

	c.add(59 * 24 * time.Hour)
	r.renew()
	if again := r.presented(t, "a.test.example", c.now()); !again.Equal(first) {
		t.Error("renewed before two thirds of its life")
	}
	c.add(2 * 24 * time.Hour)
	r.log.wait(t, "msg", "certificate renewed", "site", "a")
	second := r.presented(t, "a.test.example", c.now())
	if second.Equal(first) || !second.NotAfter.After(first.NotAfter) {
		t.Errorf("presented a certificate until %v, after one until %v", second.NotAfter, first.NotAfter)
	}
	r.wantMetric(t, float64(second.NotAfter.Unix()), "usher_certificate_not_after_seconds", "site=a")
	if after := r.presented(t, "own.test.example", first.NotBefore.Add(2*time.Hour)); !after.Equal(own) {
		t.Error("the certificate from a file changed")
	}
	if n := r.log.count("msg", "certificate renewed"); n != 1 {
		t.Errorf("renewed %d times", n)
	}
	// The routes came along.
	client := r.client(t, "h2", "tls", "own.test.example")
	client.get(t, "own.test.example", "/").want(t, 200, "site own")
}

func TestLocalCertificatesOutliveARestart(t *testing.T) {
	f, c := newFolder(t), newClock()
	r := f.startWith(t, local, Options{Clock: c.now})
	first := r.presented(t, "a.test.example", c.now())
	if err := wait(t, "the shutdown", r.shutdown()); err != nil {
		t.Fatal(err)
	}
	r = f.startWith(t, local, Options{Clock: c.now})
	if again := r.presented(t, "a.test.example", c.now()); !again.Equal(first) {
		t.Error("another certificate after a restart")
	}
}

func TestBrokenLocalCALeavesNothingBound(t *testing.T) {
	f := newFolder(t)
	f.write(t, "state/ca/root.key", "garbage")
	probe, err := net.Listen("tcp", testenv.LoopbackAny(t))
	if err != nil {
		t.Fatal(err)
	}
	probe.Close()
	g, err := Start(t.Context(), f.load(t, local+"admin: {address: "+probe.Addr().String()+"}\n"), Options{Log: io.Discard})
	if err == nil {
		g.Shutdown(t.Context())
		t.Fatal("started")
	}
	again, err := net.Listen("tcp", probe.Addr().String())
	if err != nil {
		t.Fatal("the admin listener was left bound")
	}
	again.Close()
}
