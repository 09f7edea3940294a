package browsers

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/testca"
)

// A liar is an HTTP/2 server that refuses every request whose host is not the SNI of its connection, though the
// certificate covers it. With claims it says first, in an ORIGIN frame, that it would serve it.
type liar struct {
	refusal int      // the status of a refusal
	claims  []string // the sites of the ORIGIN frame; none: no frame
	page    http.Handler

	ca    *testca.CA
	port  string
	mu    sync.Mutex
	log   []seen
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// start begins to listen; the liar ends with the test.
func (l *liar) start(t testing.TB) {
	t.Helper()
	l.ca, l.conns = testca.New(t), map[net.Conn]bool{}
	in, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{l.ca.Server(t, setting{}.hosts()...)},
		NextProtos:   []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, l.port, err = net.SplitHostPort(in.Addr().String()); err != nil {
		t.Fatal(err)
	}
	l.done.Go(func() {
		for {
			nc, err := in.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns[nc] = true
			l.mu.Unlock()
			l.done.Go(func() {
				defer nc.Close()
				l.converse(nc.(*tls.Conn))
			})
		}
	})
	t.Cleanup(func() {
		in.Close()
		l.mu.Lock()
		for nc := range l.conns {
			nc.Close()
		}
		l.mu.Unlock()
		l.done.Wait()
	})
}

// finish returns what was asked so far, which is all once the browser has ended.
func (l *liar) finish() []seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log
}

// What was asked is a request as it comes in, frame by frame.
type asked struct {
	fields *http2.MetaHeadersFrame
	body   bytes.Buffer
}

// converse serves a connection until it breaks.
func (l *liar) converse(nc *tls.Conn) error {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(nc, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return errors.New("this is no HTTP/2")
	}
	f := http2.NewFramer(nc, nc)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		return err
	}
	if l.claims != nil {
		if err := f.WriteRawFrame(http2.FrameType(0xc), 0, 0, l.claim()); err != nil {
			return err
		}
	}
	open := map[uint32]*asked{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = f.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			open[frame.StreamID] = &asked{fields: frame}
			if frame.StreamEnded() {
				err = l.answer(nc, f, open[frame.StreamID])
			}
		case *http2.DataFrame:
			if q := open[frame.StreamID]; q != nil {
				q.body.Write(frame.Data())
				if frame.StreamEnded() {
					err = l.answer(nc, f, q)
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// claim is the payload of the ORIGIN frame (RFC 8336 section 2.1).
func (l *liar) claim() []byte {
	var payload []byte
	for _, site := range l.claims {
		origin := "https://" + site + zone + ":" + l.port
		payload = binary.BigEndian.AppendUint16(payload, uint16(len(origin)))
		payload = append(payload, origin...)
	}
	return payload
}

// answer refuses or has the page answer. A refusal, too, may be read by the page.
func (l *liar) answer(nc *tls.Conn, f *http2.Framer, q *asked) error {
	r := httptest.NewRequest(q.fields.PseudoValue("method"), q.fields.PseudoValue("path"), &q.body)
	r.Host = q.fields.PseudoValue("authority")
	for _, field := range q.fields.RegularFields() {
		r.Header.Add(field.Name, field.Value)
	}
	w := httptest.NewRecorder()
	l.page.ServeHTTP(w, r)
	sni := nc.ConnectionState().ServerName
	host, _, _ := net.SplitHostPort(r.Host)
	if host != sni && r.URL.Path != reportPath {
		w.Code = l.refusal
	}
	l.mu.Lock()
	l.log = append(l.log, seen{Protocol: "h2", Remote: nc.RemoteAddr().String(), Method: r.Method, Authority: r.Host,
		Path: r.URL.Path, Status: w.Code, SNI: sni})
	l.mu.Unlock()

	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	status := w.Result().Status
	enc.WriteField(hpack.HeaderField{Name: ":status", Value: status[:3]})
	for name, values := range w.Header() {
		enc.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: values[0]})
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: q.fields.StreamID, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return f.WriteData(q.fields.StreamID, true, w.Body.Bytes())
}
