package h3

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testca"
)

func headers(id quic.StreamID, fields ...qlog.HeaderField) qlogwriter.Event {
	return qlog.FrameParsed{StreamID: id, Frame: qlog.Frame{Frame: qlog.HeadersFrame{HeaderFields: fields}}}
}

func schemeField(v string) qlog.HeaderField { return qlog.HeaderField{Name: ":scheme", Value: v} }

// TestSchemesAreBounded: header sections that no handler takes do not pile up, and the newest are kept.
func TestSchemesAreBounded(t *testing.T) {
	ctx := withSchemes(context.Background())
	tr := tracer(nil)(ctx, false, quic.ConnectionID{})
	if core := tr.AddProducer(); core != nil {
		t.Errorf("the QUIC connection got a recorder: %v", core)
	}
	rec := tr.AddProducer()
	s := schemesOf(ctx)
	long := strings.Repeat("x", 1<<16)
	for i := range 10 * maxSchemes {
		rec.RecordEvent(headers(quic.StreamID(4*i), schemeField(long)))
	}
	if len(s.byStream) != maxSchemes {
		t.Errorf("%d schemes are held", len(s.byStream))
	}
	for id, scheme := range s.byStream {
		if id < 4*9*maxSchemes || len(scheme) != maxScheme {
			t.Errorf("stream %d: scheme of %d bytes", id, len(scheme))
		}
	}
	id := quic.StreamID(4 * 10 * maxSchemes)
	rec.RecordEvent(headers(id, qlog.HeaderField{Name: ":method", Value: "GET"}, schemeField("https")))
	if scheme, ok := s.take(id); !ok || scheme != "https" {
		t.Errorf("%q %v", scheme, ok)
	}
	if scheme, ok := s.take(id); ok {
		t.Errorf("taken twice: %q", scheme)
	}
	rec.RecordEvent(headers(id+4, qlog.HeaderField{Name: ":method", Value: "GET"}))
	if scheme, ok := s.take(id + 4); !ok || scheme != "" {
		t.Errorf("without :scheme: %q %v", scheme, ok)
	}
	rec.RecordEvent(qlog.FrameParsed{StreamID: id + 8, Frame: qlog.Frame{Frame: qlog.DataFrame{}}})
	if _, ok := s.take(id + 8); ok {
		t.Error("a DATA frame made a scheme")
	}
}

// TestNoScheme: were quic-go to stop telling, requests would end as no_facts. They are never served unseen.
func TestNoScheme(t *testing.T) {
	ca := testca.New(t)
	log := make(lines, 10)
	guard, err := usher.New(usher.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Guard:     guard,
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.example")}},
	}
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	// An endpoint as listen makes it, but for the Tracer.
	e := &endpoint{server: s, local: pc.LocalAddr(), transport: &quic.Transport{Conn: pc}, failed: make(chan struct{})}
	e.transport.ConnContext = e.connContext
	if e.accepting, err = e.transport.Listen(s.tls, &quic.Config{}); err != nil {
		t.Fatal(err)
	}
	go e.accept()
	defer e.close()

	c, err := rawh3.Dial(t.Context(), pc.LocalAddr().String(), &tls.Config{ServerName: "a.example", RootCAs: ca.Pool()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := c.Do(t.Context(), rawh3.Get("a.example", "/"), "")
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != 500 {
		t.Fatalf("%d, want 500", res.Status)
	}
	if line := <-log; !strings.Contains(line, "h3.Server") || !strings.Contains(line, "reason=no_facts") {
		t.Errorf("log %s", line)
	}
}

// lines is what was written, line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
