package gateway

import (
	"io"

	"github.com/usher-http/usher/internal/message"
)

// Tunnel answers an extended CONNECT (RFC 8441 section 5).
func (rq *h2exchange) Tunnel(f message.Fields) (io.ReadWriteCloser, error) {
	if err := rq.Respond(200, f, false); err != nil {
		return nil, err
	}
	rq.c.mu.Lock()
	rq.tunnelled = true
	rq.c.mu.Unlock()
	return &h2tunnel{rq}, rq.Flush()
}

type h2tunnel struct{ rq *h2exchange }

func (t *h2tunnel) Read(p []byte) (int, error) { return t.rq.Read(p) }

func (t *h2tunnel) Write(p []byte) (int, error) {
	n, err := t.rq.Write(p)
	if err == nil {
		err = t.rq.Flush()
	}
	return n, err
}

// CloseWrite ends what is sent; what comes can still be read.
func (t *h2tunnel) CloseWrite() error {
	if err := t.rq.Finish(nil); err != nil {
		return err
	}
	return t.rq.Flush()
}

func (t *h2tunnel) Close() error {
	t.rq.hold()
	defer t.rq.release()
	if t.rq.lost {
		return nil
	}
	if !t.rq.answered {
		t.rq.stream.Close(nil)
		t.rq.answered = true
	}
	t.rq.lose()
	t.rq.c.flush()
	return nil
}
