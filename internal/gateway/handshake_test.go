package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

// A corked connection keeps what is written behind the first message until it is let go in one piece.
type corked struct {
	net.Conn
	begun bool
	kept  []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

// A client of TLS 1.3 sends requests without waiting for what becomes of its certificate. It is to see the alert, and no reset.
func TestAlertReachesClientsThatGoOn(t *testing.T) {
	f := newFolder(t)
	testca.New(t).WriteRoot(t, f.dir, "staff")
	r := f.start(t, strings.Replace(basic, "key: own.key}]", "key: own.key}], client_auth: require, client_ca: staff.pem", 1))
	tcp, err := net.Dial("tcp", r.addr(t, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(patience))
	cork := &corked{Conn: tcp}
	c := tls.Client(cork, &tls.Config{RootCAs: f.ca.Pool(), ServerName: "own.test.example"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.Write(make([]byte, 64<<10))
	if _, err := tcp.Write(cork.kept); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("the client sees %v", err)
	}
	if _, err := io.Copy(io.Discard, tcp); err != nil {
		t.Errorf("behind the alert: %v, want the end of the connection", err)
	}
	r.wantMetric(t, 1, "usher_handshake_errors_total")
}
