// Package rawh3 is an HTTP/3 client for tests that sends what it is told to: any pseudo-header fields in any order, any
// number of times, and parts of messages. It judges nothing that it receives.
package rawh3

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// The codes of RFC 9114 section 8.1 and RFC 9204 section 6 that tests meet.
const (
	NoError          = 0x100
	FrameUnexpected  = 0x105
	ExcessiveLoad    = 0x107
	RequestRejected  = 0x10b
	RequestCancelled = 0x10c
	MessageError     = 0x10e
)

// The types of streams and frames, RFC 9114 sections 6.2 and 7.2.
const (
	controlStream = 0x00

	frameData     = 0x0
	frameHeaders  = 0x1
	frameSettings = 0x4
	frameGoAway   = 0x7
)

// A Conn is one HTTP/3 connection. It stays open after GOAWAY: what to do then is the test's business. Its methods are
// safe for concurrent use.
type Conn struct {
	QUIC *quic.Conn

	arrivals *arrivals
	goAway   chan struct{} // closed by the first GOAWAY
	ended    chan struct{} // closed when nothing more of the server's control stream can be read
	mu       sync.Mutex
	goAwayID uint64
}

// Dial makes a connection to a UDP address. The ALPN protocol is h3 unless config names others. quicConfig may be nil.
func Dial(ctx context.Context, addr string, config *tls.Config, quicConfig *quic.Config) (*Conn, error) {
	a := newArrivals()
	qc, err := quic.DialAddr(ctx, addr, withH3(config), a.trace(quicConfig))
	if err != nil {
		return nil, err
	}
	return open(qc, a)
}

// DialEarly is Dial that returns before the handshake is complete, where config has a session that allows for early data.
func DialEarly(ctx context.Context, addr string, config *tls.Config, quicConfig *quic.Config) (*Conn, error) {
	a := newArrivals()
	qc, err := quic.DialAddrEarly(ctx, addr, withH3(config), a.trace(quicConfig))
	if err != nil {
		return nil, err
	}
	return open(qc, a)
}

func withH3(config *tls.Config) *tls.Config {
	config = config.Clone()
	if config.NextProtos == nil {
		config.NextProtos = []string{"h3"}
	}
	return config
}

// Open sends the SETTINGS frame on a QUIC connection and reads the server's control stream from then on.
func Open(qc *quic.Conn) (*Conn, error) { return open(qc, newArrivals()) }

func open(qc *quic.Conn, a *arrivals) (*Conn, error) {
	c := &Conn{QUIC: qc, arrivals: a, goAway: make(chan struct{}), ended: make(chan struct{})}
	control, err := qc.OpenUniStream()
	if err != nil {
		return nil, err
	}
	if _, err := control.Write([]byte{controlStream, frameSettings, 0}); err != nil {
		return nil, err
	}
	go c.acceptStreams()
	return c, nil
}

func (c *Conn) acceptStreams() {
	var readers sync.WaitGroup
	defer func() {
		readers.Wait()
		close(c.ended)
	}()
	for {
		stream, err := c.QUIC.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		readers.Go(func() {
			counted, done := c.arrivals.from(stream.StreamID(), stream)
			defer done()
			c.readStream(counted)
		})
	}
}

func (c *Conn) readStream(stream io.Reader) {
	r := bufio.NewReader(stream)
	if kind, err := quicvarint.Read(r); err != nil || kind != controlStream {
		return
	}
	for {
		kind, payload, err := readFrame(r)
		if err != nil {
			return
		}
		if kind != frameGoAway {
			continue
		}
		id, _, err := quicvarint.Parse(payload)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.goAwayID = id
		select {
		case <-c.goAway:
		default:
			close(c.goAway)
		}
		c.mu.Unlock()
	}
}

// GoAway is closed when the server has sent GOAWAY.
func (c *Conn) GoAway() <-chan struct{} { return c.goAway }

// Ended is closed when the connection has ended and all that the server said about it before was read: GoAway is closed by then or never.
func (c *Conn) Ended() <-chan struct{} { return c.ended }

// GoAwayID is the stream ID of the last GOAWAY.
func (c *Conn) GoAwayID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.goAwayID
}

// Close closes the connection with H3_NO_ERROR.
func (c *Conn) Close() error { return c.QUIC.CloseWithError(NoError, "") }

// maxFrame is more than any frame that a test should receive.
const maxFrame = 16 << 20

func readFrame(r *bufio.Reader) (kind uint64, payload []byte, err error) {
	if kind, err = quicvarint.Read(r); err != nil {
		return 0, nil, err
	}
	n, err := quicvarint.Read(r)
	if err != nil {
		return 0, nil, unexpected(err)
	}
	if n > maxFrame {
		return 0, nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return kind, payload, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func appendFrame(b []byte, kind uint64, payload []byte) []byte {
	b = quicvarint.Append(b, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}
