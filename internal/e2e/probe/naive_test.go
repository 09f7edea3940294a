package probe

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// naive is a server as many are written: sites by Host, TLS by SNI.
func naive(t *testing.T) *server {
	t.Helper()
	c := newCast(t)
	certificates := map[string]*tls.Certificate{}
	mux := http.NewServeMux()
	for _, name := range names {
		file := filepath.Join(c.dir, certificateOf(name))
		pair, err := tls.LoadX509KeyPair(file+".pem", file+".key")
		if err != nil {
			t.Fatal(err)
		}
		certificates[name] = &pair
		mux.HandleFunc(name+"/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content(name)) })
	}
	pem, err := os.ReadFile(filepath.Join(c.dir, "clients.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	base := &tls.Config{NextProtos: []string{"h2", "http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if certificates[h.ServerName] == nil {
			return certificates["one.test"], nil
		}
		return certificates[h.ServerName], nil
	}}
	staff := base.Clone()
	staff.ClientAuth, staff.ClientCAs = tls.RequireAndVerifyClientCert, pool
	base.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if h.ServerName == "staff.test" {
			return staff, nil
		}
		return nil, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux, TLSConfig: base, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.ServeTLS(l, "", "")
	t.Cleanup(func() { srv.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return &server{c, port}
}
