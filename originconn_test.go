package usher

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
)

var (
	settings = []byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100}
	update   = []byte{0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0}
	ack      = []byte{0, 0, 0, 4, 1, 0, 0, 0, 0}
	told1    = []byte{0, 0, 3, 0xc, 0, 0, 0, 0, 0, 0, 1, 'x'}
)

// pair returns both ends of a TLS connection, the server's as an originConn.
func pair(t *testing.T, frame func() []byte) (*originConn, *tls.Conn) {
	t.Helper()
	ca := testca.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := make(chan *tls.Conn, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"})
		if err != nil {
			t.Error(err)
		}
		client <- c
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a.test")}})
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := <-client
	t.Cleanup(func() { c.Close(); server.Close() })
	return &originConn{Conn: server, frame: frame}, c
}

func TestOriginConnWrites(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, test := range []struct {
		name   string
		writes [][]byte
		frame  []byte
		want   []byte
	}{
		{"SETTINGS alone", [][]byte{settings, update}, told1, join(settings, told1, update)},
		{"SETTINGS and more in one write", [][]byte{join(settings, update)}, told1, join(settings, told1, update)},
		{"no frame", [][]byte{join(settings, update)}, nil, join(settings, update)},
		{"no SETTINGS first", [][]byte{update, settings}, told1, join(update, settings)},
		{"an acknowledgement is no preface", [][]byte{ack, settings}, told1, join(ack, settings)},
		{"cut SETTINGS", [][]byte{settings[:10], settings[10:]}, told1, settings},
		{"cut header", [][]byte{settings[:5], settings[5:]}, told1, settings},
		{"one frame alone", [][]byte{settings, settings}, told1, join(settings, told1, settings)},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			server, client := pair(t, func() []byte { asked++; return test.frame })
			for _, p := range test.writes {
				if n, err := server.Write(p); n != len(p) || err != nil {
					t.Fatalf("wrote %d of %d, %v", n, len(p), err)
				}
			}
			// Half-close still works: the client sees the end, and can still send.
			if err := server.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, test.want) {
				t.Errorf("the client got %x, %v\nwant %x", got, err, test.want)
			}
			if asked > 1 {
				t.Errorf("the frame was asked for %d times", asked)
			}
			if _, err := client.Write([]byte("late")); err != nil {
				t.Fatal(err)
			}
			if n, err := server.Read(make([]byte, 4)); n != 4 || err != nil {
				t.Errorf("after half-close: read %d, %v", n, err)
			}
		})
	}
}

func TestOriginConnErrors(t *testing.T) {
	server, _ := pair(t, func() []byte { return told1 })
	server.SetWriteDeadline(time.Now().Add(-time.Second))
	n, err := server.Write(settings)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > len(settings) {
		t.Errorf("past the deadline: %d, %v", n, err)
	}
	server, client := pair(t, func() []byte { return told1 })
	client.NetConn().(*net.TCPConn).SetLinger(0)
	client.NetConn().Close()
	// How soon the reset is there is the kernel's affair.
	err = nil
	for limit := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(limit); {
		_, err = server.Write(settings)
	}
	if err == nil {
		t.Error("writes to a connection that is gone succeed for ever")
	}
}
