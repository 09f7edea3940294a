//go:build linux

package benchproxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// verify asks a contender for everything once and looks at the answers byte by byte: what is measured does what it is said to do.
// It returns its configuration.
func (b *bench) verify(t *testing.T, c contender) string {
	t.Helper()
	p, err := c.start(t, b.certs, b.upstream.addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer p.stop()
	content := make([]byte, largeBytes)
	rand.Read(content)
	sum := sha256.Sum256(content)
	log.SetOutput(io.Discard) // net/http's client complains of ORIGIN frames
	defer log.SetOutput(os.Stderr)
	for _, w := range works {
		want := []byte{}
		switch w.path {
		case "/":
			want = []byte(smallBody)
		case "/fixed":
			want = []byte(fixedBody)
		case "/large":
			want = bytes.Repeat([]byte("0123456789abcde\n"), largeBytes/16)
		}
		if w.post {
			w.path, want = "/sum", []byte(hex.EncodeToString(sum[:]))
		}
		if err := p.ask(b.certs, w, content, want); err != nil {
			t.Errorf("%s, %s: %v", w.name, c.name, err)
		}
	}
	if err := p.stopLogged(len(works)); err != nil {
		t.Error(err)
	}
	return p.config
}

// ask makes the work's request, on a connection of its own.
func (p *running) ask(certs certificates, w work, content, want []byte) error {
	protocol := new(http.Protocols)
	protocol.SetHTTP2(!w.http1)
	protocol.SetHTTP1(w.http1)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: certs.ca.Pool()},
		Protocols:       protocol,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
	r, err := http.NewRequest("GET", "https://"+hostA+w.path, nil)
	if w.post {
		r, err = http.NewRequest("POST", "https://"+hostA+w.path, bytes.NewReader(content))
	}
	if err != nil {
		return err
	}
	if w.misdirected {
		r.Host = hostB
	}
	got, err := fetch(client, r)
	switch {
	case err != nil:
		return err
	case got.status != w.status:
		return fmt.Errorf("status %d, want %d: %q", got.status, w.status, got.body)
	case w.body >= 0 && !bytes.Equal(got.body, want):
		return fmt.Errorf("%d bytes of content, which are not the %d that were expected", len(got.body), len(want))
	case w.status == 308 && got.header.Get("Location") != elsewhere:
		return fmt.Errorf("Location %q, want %q", got.header.Get("Location"), elsewhere)
	case (got.major == 1) != w.http1:
		return fmt.Errorf("HTTP/%d", got.major)
	}
	return nil
}
