package rawh3_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testca"
)

// TestAgainstQuicGo: what is sent arrives, and what comes back is told, GOAWAY included.
func TestAgainstQuicGo(t *testing.T) {
	ca := testca.New(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	srv := &http3.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.example")}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-End")
			w.WriteHeader(103)
			w.Header().Add("X-Two", "1")
			w.Header().Add("X-Two", "2")
			w.WriteHeader(202)
			fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.URL, r.Header.Get("X-Ask"), body)
			w.Header().Set("X-End", "yes")
		}),
	}
	go srv.Serve(pc)
	defer srv.Close()
	c, err := rawh3.Dial(t.Context(), pc.LocalAddr().String(), &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	res, err := c.Do(t.Context(), rawh3.Request("POST", "https", "a.example", "/p?q", rawh3.Field{"x-ask", "what"}), "body")
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != 202 || string(res.Body) != "POST a.example /p?q what body" || len(res.Values("x-two")) != 2 ||
		len(res.Informational) != 1 || len(res.Trailers) != 1 || res.Trailers[0] != (rawh3.Field{"x-end", "yes"}) {
		t.Errorf("%+v, body %q", res, res.Body)
	}

	_, err = c.Do(t.Context(), []rawh3.Field{{":method", "GET"}}, "")
	if e, ok := errors.AsType[*quic.StreamError](err); !ok || e.ErrorCode != rawh3.MessageError || !e.Remote {
		t.Errorf("a request that is none: %v", err)
	}

	select {
	case <-c.GoAway():
		t.Error("GOAWAY that nobody sent")
	default:
	}
	go srv.Shutdown(t.Context())
	select {
	case <-c.GoAway():
	case <-time.After(20 * time.Second):
		t.Fatal("no GOAWAY")
	}
	if id := c.GoAwayID(); id != 8 {
		t.Errorf("GOAWAY with stream ID %d after two requests", id)
	}
}
