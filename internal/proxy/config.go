package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Config describes one upstream server. It is read only once it is handed to NewServer.
type Config struct {
	// Address is what to dial: host:port.
	Address string
	// TLS is the configuration of https connections; nil: plaintext. ServerName is the SNI and the name that the certificate is
	// verified for: the host of the URL, or the one that is configured. NextProtos is set by NewServer.
	TLS *tls.Config
	// FixedSNI says that the SNI was configured, so that a 421 is not tried again under another.
	FixedSNI bool

	// Connect limits TCP and TLS together. FirstByte limits the time from the end of the request, or from when a piece of it was
	// sent, to the end of the answer's header section; an interim answer starts it anew. It does not run while the client's
	// content is waited for. Idle limits each wait for more of the answer's content. Whole limits all of it, from Do to the end
	// of the answer. 0: no limit.
	Connect, FirstByte, Idle, Whole time.Duration

	// MaxIdle is how many idle connections are kept for one SNI; 0: 512. KeepIdle is how long; 0: 90 s.
	MaxIdle  int
	KeepIdle time.Duration
	// MaxHeaderBytes limits a header section of an answer, and its trailers; 0: 1 MiB.
	MaxHeaderBytes int
	// Dial makes connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultMaxIdle        = 512
	defaultKeepIdle       = 90 * time.Second
	defaultMaxHeaderBytes = 1 << 20

	tcpKeepAlive = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.MaxIdle == 0 {
		c.MaxIdle = defaultMaxIdle
	}
	if c.KeepIdle == 0 {
		c.KeepIdle = defaultKeepIdle
	}
	if c.MaxHeaderBytes == 0 {
		c.MaxHeaderBytes = defaultMaxHeaderBytes
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: tcpKeepAlive}).DialContext
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
	}
	return c
}
