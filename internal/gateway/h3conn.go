package gateway

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/usher-http/usher/internal/h2"
)

// An h3conn is what the requests of one connection of HTTP/3 have in common. Its methods are safe for concurrent use.
type h3conn struct {
	lent    atomic.Int64 // see budget
	unsent  atomic.Int64 // bytes of buffers with answers that the client has not taken
	running atomic.Int64 // requests
}

type h3connKey struct{}

// withH3Conn is for the context of a connection, which those of its requests are made from.
func withH3Conn(ctx context.Context) context.Context {
	return context.WithValue(ctx, h3connKey{}, new(h3conn))
}

func h3connOf(r *http.Request) *h3conn { return r.Context().Value(h3connKey{}).(*h3conn) }

// peer is the client as it was when it sent the request: it may change its address.
func (c *h3conn) peer(r *http.Request) *peer {
	p := &peer{remote: r.RemoteAddr, ip: hostOf(r.RemoteAddr), lent: &c.lent}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 {
		p.certificate = clientCertificate(r.TLS.PeerCertificates[0].Raw)
	}
	return p
}

// What the buffers of a connection may be together. Beyond it, those of further answers are little ones: there are no more answers than
// streams. It is as much as a session of HTTP/2 keeps, and so is fewerUnsent, for the time when all together keep too much: who takes
// its answers has the one large buffer that it needs, whatever the others do.
const (
	connUnsent  = 1 << 20
	fewerUnsent = largeBuffer
)

// take makes room for a piece of an answer, and returns how large it may be.
func (c *h3conn) take(all *h2.Account) int {
	most := int64(connUnsent)
	if all.Exceeded() {
		most = fewerUnsent
	}
	n := largeBuffer
	if c.unsent.Add(largeBuffer) > most {
		n = littleBuffer
		c.unsent.Add(littleBuffer - largeBuffer)
	}
	all.Add(n)
	return n
}

func (c *h3conn) giveBack(all *h2.Account, n int) {
	c.unsent.Add(int64(-n))
	all.Add(-n)
}

// Room does not wait: a piece is in a buffer while quic-go waits for the client to take it. It is given back with the next one.
func (h *httpExchange) Room() (int, error) {
	h.giveBack()
	h.piece = h.c.take(&h.entry.gateway.unsent)
	return h.piece, nil
}

func (h *httpExchange) giveBack() {
	if h.piece > 0 {
		h.c.giveBack(&h.entry.gateway.unsent, h.piece)
		h.piece = 0
	}
}
