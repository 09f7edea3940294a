package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/usher-http/usher/internal/tcpio"
)

// connect makes a connection. reused is for HTTP/2: where any will do, it may be one that somebody else has made meanwhile.
func (p *pool) connect(call *Call, which choice) (c carrier, reused bool, err error) {
	config := &p.server.config
	whole := call.start(config.Whole)
	ctx, done, err := call.dialing(whole)
	if err != nil {
		return nil, false, err
	}
	defer done()
	if config.Connect != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, config.Connect, ErrConnect)
		defer cancel()
	}
	c, reused, err = p.join(ctx, which)
	if err != nil {
		return nil, false, p.connectError(ctx, call, whole, err)
	}
	return c, reused, nil
}

func (p *pool) join(ctx context.Context, which choice) (carrier, bool, error) {
	if p.one == nil || which != anyOf {
		return p.dial(ctx, which)
	}
	c, done, err := p.two.turn(ctx)
	if err != nil {
		return nil, false, err
	}
	if c != nil {
		return c, true, nil
	}
	defer done()
	return p.dial(ctx, which)
}

func (p *pool) dial(ctx context.Context, which choice) (carrier, bool, error) {
	raw, err := p.server.config.Dial(ctx, "tcp", p.server.config.Address)
	if err != nil {
		return nil, false, err
	}
	if p.tls == nil {
		return newConn(raw, raw, p), false, nil
	}
	under := &underTLS{Conn: raw, socket: tcpio.Of(raw)}
	secured := tls.Client(under, p.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, false, err
	}
	if secured.ConnectionState().NegotiatedProtocol == "h2" {
		return p.two.add(p, secured, which)
	}
	c := newConn(raw, secured, p)
	c.under = under
	return c, false, nil
}

func (p *pool) connectError(ctx context.Context, call *Call, whole time.Duration, err error) error {
	switch cause := context.Cause(ctx); {
	case call.isCanceled():
		return ErrCanceled
	case errors.Is(cause, ErrWhole) || whole != 0 && now() >= whole:
		return ErrWhole
	case errors.Is(cause, ErrConnect) || p.server.config.Connect != 0 && isTimeout(err):
		err = ErrConnect
	}
	return &ConnectError{Server: p.server.config.Address, Err: err}
}

func isTimeout(err error) bool {
	var limit net.Error
	return errors.As(err, &limit) && limit.Timeout()
}
