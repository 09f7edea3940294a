package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// gone is the client's side of a connection that the server has closed: what it said before is still there to be read, and writes fail, from
// the first one on or later.
type gone struct {
	net.Conn
	said   *strings.Reader
	end    error // behind what was said
	writes int   // that succeed
}

func (g *gone) Read(p []byte) (int, error) {
	if g.said.Len() == 0 {
		return 0, g.end
	}
	return g.said.Read(p)
}

func (g *gone) Write(p []byte) (int, error) {
	if g.writes--; g.writes < 0 {
		return 0, &net.OpError{Op: "write", Err: syscall.EPIPE}
	}
	return len(p), nil
}

func (g *gone) SetDeadline(time.Time) error { return nil }

func left(p Protocol, g *gone) *Conn {
	c := &Conn{Dial: Dial{Protocol: p}, limits: Limits{}.withDefaults(), shelf: &shelf{}, tcp: g, r: bufio.NewReader(g), w: bufio.NewWriter(g)}
	if p == H2 {
		c.h2 = newH2(c)
	}
	return c
}

// A server that answers and closes at once has answered, whether or not its reset comes before our acknowledgements are written.
func TestLastWordsH2(t *testing.T) {
	var said bytes.Buffer
	f := http2.NewFramer(&said, nil)
	f.WriteSettings()
	f.WritePing(false, [8]byte{})
	settings := said.String()
	var block bytes.Buffer
	hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	f.WriteData(1, false, []byte("hel"))
	f.WriteData(1, true, []byte("lo"))
	for _, writes := range []int{0, 1, 2, 3, 100} {
		c := left(H2, &gone{said: strings.NewReader(said.String()), end: syscall.ECONNRESET, writes: writes})
		if a := c.Do(t.Context(), &Request{Authority: "a.test"}); a.Status != 200 || string(a.Body) != "hello" || a.Failure != "" || c.Usable() != (writes == 100) {
			t.Errorf("%d writes: %d %q %s %s, usable %v", writes, a.Status, a.Body, a.Failure, a.Detail, c.Usable())
		}
		c = left(H2, &gone{said: strings.NewReader(settings), end: syscall.ECONNRESET, writes: writes})
		if a := c.Do(t.Context(), &Request{Authority: "a.test"}); a.Status != 0 || a.Failure != Closed || c.Usable() {
			t.Errorf("%d writes, no answer: %d %s %s, usable %v", writes, a.Status, a.Failure, a.Detail, c.Usable())
		}
	}
}

// What a server says instead of an answer before it closes is not lost, either: an alert tells more than that the connection is reset.
func TestLastWordsAlert(t *testing.T) {
	for _, p := range []Protocol{H1, H2} {
		for _, writes := range []int{0, 100} {
			alert := &net.OpError{Op: "remote error", Err: tls.AlertError(116)}
			c := left(p, &gone{said: strings.NewReader(""), end: alert, writes: writes})
			if a := c.Do(t.Context(), &Request{Authority: "a.test"}); a.Failure != Alert || a.Detail != "certificate_required" {
				t.Errorf("%s, %d writes: %s %s", p, writes, a.Failure, a.Detail)
			}
			c = left(p, &gone{said: strings.NewReader(""), end: syscall.ECONNRESET, writes: writes})
			if a := c.Do(t.Context(), &Request{Authority: "a.test"}); a.Failure != Closed || c.Usable() {
				t.Errorf("%s, %d writes, no alert: %s %s", p, writes, a.Failure, a.Detail)
			}
		}
	}
}

// Sessions of HTTP/3 come when they come, on another goroutine than the one that asks for them.
func TestTicketMeanwhile(t *testing.T) {
	c := &Conn{shelf: &shelf{}}
	go c.config().ClientSessionCache.Put("", &tls.ClientSessionState{})
	for end := time.Now().Add(20 * time.Second); c.Ticket() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no ticket")
		}
	}
}
