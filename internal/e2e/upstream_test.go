package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
)

const hangup = syscall.SIGHUP

func afterPatience() <-chan time.Time { return time.After(patience) }

// An upstream stands behind the gateway. /echo answers with the body, /hold when it is let go, everything else at once.
type upstream struct {
	url   string
	begun atomic.Int64
	held  chan string   // the protocol-independent mark of each request to /hold that has arrived
	free  chan struct{} // closed: /hold answers
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{held: make(chan string, 64), free: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(u.serve))
	t.Cleanup(func() {
		u.release()
		srv.Close()
	})
	u.url = srv.URL
	return u
}

func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	u.begun.Add(1)
	switch {
	case strings.HasPrefix(r.URL.Path, "/echo"):
		// All of it first: this server closes the request when it begins to answer.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Write(body)
	case strings.HasPrefix(r.URL.Path, "/hold"):
		u.held <- r.URL.Path
		select {
		case <-u.free:
		case <-r.Context().Done():
			return
		}
		io.WriteString(w, "answered after all\n")
	default:
		io.WriteString(w, "from behind\n")
	}
}

// release lets the held requests go. It is called once by a test, and again when that ends.
func (u *upstream) release() {
	select {
	case <-u.free:
	default:
		close(u.free)
	}
}

// awaitHeld waits until n requests have arrived at /hold.
func (u *upstream) awaitHeld(t testing.TB, n int) {
	t.Helper()
	limit := time.After(patience)
	for range n {
		select {
		case <-u.held:
		case <-limit:
			t.Fatal("a request did not reach the upstream")
		}
	}
}

// localRoot is the root of the gateway's own authority, as `usher ca export` writes it.
func (s *server) localRoot(t testing.TB) *x509.Certificate {
	t.Helper()
	out, errs, code := command(t, s.dir, "", testenv.UsherBinary(t), "ca", "export", "-c", s.file)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	cert, err := certificateIn([]byte(out))
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return cert
}

func certificateIn(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return x509.ParseCertificate(block.Bytes)
}
