package probe

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/usher-http/usher/originframe"
	"github.com/usher-http/usher/probe/wire"
)

// A prober is a run under way.
type prober struct {
	Options
	pacer   *pacer
	tickets shelf
	quic    quicPlaces
	down    *health // nil: not looked at
}

func newProber(o Options) *prober {
	p := &prober{Options: o.withDefaults(), down: &health{}}
	p.pacer = newPacer(&p.Options)
	return p
}

// Survey connects to each target as itself. A host that cannot be reached has a Failure; the others do not wait for it for longer than the
// limits say. The error is ctx's.
func Survey(ctx context.Context, targets []Target, o Options) ([]*Host, error) {
	return newProber(o).survey(ctx, targets)
}

func (p *prober) survey(ctx context.Context, targets []Target) ([]*Host, error) {
	hosts := make([]*Host, len(targets))
	each(p.Parallel, len(targets), func(i int) {
		hosts[i] = p.surveyHost(ctx, targets[i])
	}, func(done int) { p.Progress("own connections", done, len(targets)) })
	return hosts, ctx.Err()
}

// each calls f for 0 to n-1, so many at a time, and then done, one at a time.
func each(parallel, n int, f func(int), done func(int)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	finished := 0
	slots := make(chan struct{}, parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() {
				<-slots
				wg.Done()
			}()
			f(i)
			mu.Lock()
			defer mu.Unlock()
			finished++
			done(finished)
		}()
	}
	wg.Wait()
}

func (p *prober) surveyHost(ctx context.Context, t Target) *Host {
	h := &Host{Target: t, Own: map[wire.Protocol]*Own{}}
	name, port := redirect(p.Connect, t)
	addresses, err := p.Resolve(ctx, name)
	if err != nil || len(addresses) == 0 {
		h.Failure, h.Detail = wire.Unresolved, "the name has no address"
		if err != nil {
			_, h.Detail = wire.FailureOf(err)
		}
		return h
	}
	h.Addresses = joined(addresses, port)
	for _, proto := range p.Protocols {
		if proto == wire.H3 && !p.tryH3(h) {
			continue
		}
		h.Own[proto] = p.surveyOwn(ctx, h, proto)
	}
	if !h.Reachable() {
		h.Failure, h.Detail = worst(h.Own)
	}
	return h
}

// tryH3 says whether HTTP/3 is worth a try: not where nothing listens, or where TCP is asked for too and every try fails.
func (p *prober) tryH3(h *Host) bool {
	for _, o := range h.Own {
		if o.Failure == "" || o.Failure == wire.NoProtocol || o.Facts.Asked {
			return true
		}
	}
	return len(h.Own) == 0
}

// worst is why a host cannot be reached: what TCP says counts more than what UDP does.
func worst(own map[wire.Protocol]*Own) (wire.Failure, string) {
	for _, p := range []wire.Protocol{wire.H2, wire.H1, wire.H3} {
		if o := own[p]; o != nil && o.Failure != wire.NoProtocol {
			return o.failed()
		}
	}
	for _, o := range own {
		return o.failed()
	}
	return wire.Refused, "no protocol was tried"
}

// surveyOwn tries the addresses in turn, and keeps to the first that answers.
func (p *prober) surveyOwn(ctx context.Context, h *Host, proto wire.Protocol) *Own {
	var o *Own
	for _, a := range ownAddresses(h, proto) {
		if proto == wire.H3 {
			o = p.surveyQUIC(ctx, h, a)
		} else {
			o = p.surveyAt(ctx, h, proto, a)
		}
		if o.Failure == "" || o.Facts.Asked || ctx.Err() != nil {
			break
		}
	}
	return o
}

// ownAddresses are where a protocol is tried; for HTTP/3 the port that Alt-Svc names comes first.
func ownAddresses(h *Host, proto wire.Protocol) []netip.AddrPort {
	if proto != wire.H3 {
		return h.Addresses
	}
	for _, p := range []wire.Protocol{wire.H2, wire.H1} {
		if o := h.Own[p]; o != nil {
			if port := altPort(o.AltSvc); port != 0 && port != h.Port() {
				return []netip.AddrPort{netip.AddrPortFrom(o.Address.Addr(), port), o.Address}
			}
			if o.Failure == "" {
				return []netip.AddrPort{o.Address}
			}
		}
	}
	return h.Addresses
}

// altPort returns the port of the alternative service for h3 on the same host (RFC 7838 section 3), 0 if there is none.
func altPort(field string) uint16 {
	for entry := range strings.SplitSeq(field, ",") {
		value, ok := strings.CutPrefix(strings.TrimSpace(entry), `h3=":`)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(value, `"`)
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(n)
		}
	}
	return 0
}

// quicPlaces remembers at which addresses nobody answers QUIC.
type quicPlaces struct {
	mu   sync.Mutex
	list map[netip.AddrPort]*quicPlace
}

type quicPlace struct {
	mu     sync.Mutex // held by the first one that tries
	silent bool
}

func (q *quicPlaces) at(a netip.AddrPort) *quicPlace {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.list == nil {
		q.list = map[netip.AddrPort]*quicPlace{}
	}
	if q.list[a] == nil {
		q.list[a] = &quicPlace{}
	}
	return q.list[a]
}

// quicPatience is how long a QUIC handshake is waited for where nothing says that there is QUIC: a closed UDP port is silent.
const quicPatience = 2 * time.Second

// surveyQUIC waits in vain once for an address, unless the host says by Alt-Svc that HTTP/3 is there.
func (p *prober) surveyQUIC(ctx context.Context, h *Host, a netip.AddrPort) *Own {
	if advertised(h) || len(p.Protocols) == 1 {
		return p.surveyAt(ctx, h, wire.H3, a)
	}
	place := p.quic.at(a)
	place.mu.Lock()
	if place.silent {
		place.mu.Unlock()
		return &Own{Address: a, Failure: wire.NoProtocol, Detail: "nobody answers QUIC there"}
	}
	defer place.mu.Unlock()
	o := p.surveyWithin(ctx, h, wire.H3, a, quicPatience)
	place.silent = o.Failure == wire.Timeout || o.Failure == wire.Refused
	if place.silent {
		o.Failure, o.Detail = wire.NoProtocol, "nobody answers QUIC there"
	}
	return o
}

// advertised reports whether the host says that it speaks HTTP/3.
func advertised(h *Host) bool {
	for _, o := range h.Own {
		if strings.Contains(o.AltSvc, "h3=") {
			return true
		}
	}
	return false
}

func (p *prober) surveyAt(ctx context.Context, h *Host, proto wire.Protocol, a netip.AddrPort) *Own {
	return p.surveyWithin(ctx, h, proto, a, p.Limits.Connect)
}

func (p *prober) surveyWithin(ctx context.Context, h *Host, proto wire.Protocol, a netip.AddrPort, connect time.Duration) *Own {
	o := &Own{Address: a}
	d := p.dial(a, proto, h.SNI())
	if connect > 0 && (d.Limits.Connect <= 0 || connect < d.Limits.Connect) {
		d.Limits.Connect = connect
	}
	c, facts, err := p.open(ctx, d)
	o.Facts = facts
	if err != nil {
		o.Failure, o.Detail = wire.FailureOf(err)
	} else {
		o.Plain = p.ask(ctx, c, h.Target)
		o.Facts = c.Facts // a certificate may be asked for late
		p.notes(o, c)
		p.tickets.put(ticketKey{h.Target, proto, c.Facts.Version, false}, c.Ticket())
		p.close(c)
	}
	if o.Facts.Asked && o.closed() && proto != wire.H3 {
		p.listenAgain(ctx, o, d)
	}
	if o.late() && proto == wire.H1 {
		d.Version = tls.VersionTLS12 // where our client can be asked late
	}
	if (o.Facts.Asked || o.late()) && p.Certificate != nil {
		p.surveyShown(ctx, o, h.Target, d)
	}
	return o
}

// closed reports whether the connection was closed on the first request, without a word.
func (o *Own) closed() bool {
	return o.Failure == "" && len(o.Plain) > 0 && o.Plain[0].Failure == wire.Closed
}

// listenAgain looks why a connection was closed. Under TLS 1.3 the server says after the handshake what it thinks of the client's certificate,
// and closes at once: the reset for the request that was under way may overtake the alert. Under TLS 1.2 the alert comes in the handshake; where
// that is not spoken, nothing is sent that could be under way.
func (p *prober) listenAgain(ctx context.Context, o *Own, d wire.Dial) {
	d.Version = tls.VersionTLS12
	c, facts, err := p.open(ctx, d)
	if err != nil && !facts.Asked { // what it says then is not about a certificate
		d.Version = tls.VersionTLS13
		if c, facts, err = p.open(ctx, d); err == nil {
			err = c.Listen(ctx)
			p.close(c)
		}
	} else if err == nil {
		p.close(c)
	}
	if kind, name := wire.FailureOf(err); facts.Asked && kind == wire.Alert && wantsCertificate(name) {
		o.Plain[0].Failure, o.Plain[0].Detail = kind, name
	}
}

// ask sends the request twice, on the same connection where that is possible.
func (p *prober) ask(ctx context.Context, c *wire.Conn, t Target) Baseline {
	var list Baseline
	for range 2 {
		if !c.Usable() || p.pacer.turn(ctx, c.Dial.Address) != nil {
			break
		}
		list = append(list, c.Do(ctx, p.request(t.Name())))
	}
	return list
}

func (p *prober) surveyShown(ctx context.Context, o *Own, t Target, d wire.Dial) {
	d.Certificate = p.Certificate
	c, facts, err := p.open(ctx, d)
	if o.Facts.Leaf() == nil {
		o.Facts.Chain, o.Facts.Version = facts.Chain, facts.Version
	}
	if err != nil {
		o.ShownFailure, _ = wire.FailureOf(err)
		return
	}
	o.Shown = p.ask(ctx, c, t)
	p.notes(o, c)
	p.tickets.put(ticketKey{t, d.Protocol, c.Facts.Version, true}, c.Ticket())
	p.close(c)
}

// notes keeps what a connection said beside its answers.
func (p *prober) notes(o *Own, c *wire.Conn) {
	for _, list := range []Baseline{o.Plain, o.Shown} {
		if a, ok := list.Good(); ok && o.AltSvc == "" {
			o.AltSvc = a.Field("alt-svc")
		}
	}
	payloads, ignored := c.Origins()
	if len(payloads) == 0 && ignored == 0 || o.Origins != nil {
		return
	}
	o.Origins = &OriginSet{Ignored: ignored}
	for _, payload := range payloads {
		origins, bad, err := originframe.Parse(payload, originframe.Limits{})
		if err != nil {
			o.Origins.Error = err.Error()
			continue
		}
		o.Origins.Bad += bad
		o.Origins.Origins = append(o.Origins.Origins, origins...)
	}
}

func (p *prober) dial(a netip.AddrPort, proto wire.Protocol, sni string) wire.Dial {
	return wire.Dial{Address: a, Protocol: proto, ServerName: sni, Limits: p.Limits}
}

func (p *prober) request(authority string) *wire.Request {
	return &wire.Request{Method: p.method(), Authority: authority, Path: p.Path, UserAgent: p.UserAgent}
}

// open waits for its turn and opens a connection; close gives the place back. The facts are there after a failure, too, as far as the
// handshake got.
func (p *prober) open(ctx context.Context, d wire.Dial) (*wire.Conn, wire.Facts, error) {
	if err := p.pacer.enter(ctx, d.Address); err != nil {
		return nil, wire.Facts{}, err
	}
	if err := p.pacer.turn(ctx, d.Address); err != nil {
		p.pacer.leave(d.Address)
		return nil, wire.Facts{}, err
	}
	if err := p.down.look(d); err != nil {
		p.pacer.leave(d.Address)
		return nil, wire.Facts{}, err
	}
	c, err := wire.Open(ctx, d)
	p.down.note(d, err)
	if err != nil {
		p.pacer.leave(d.Address)
		return nil, c.Facts, err
	}
	return c, c.Facts, nil
}

// A health remembers addresses at which nobody answers TCP: they are not waited for again for each host and check.
type health struct {
	mu    sync.Mutex
	fails map[netip.AddrPort]int
	last  map[netip.AddrPort]error
}

// mostFails is how many time-outs or refusals in turn there may be.
const mostFails = 3

// look returns the last error of an address that is given up.
func (h *health) look(d wire.Dial) error {
	if h == nil || d.Protocol == wire.H3 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fails[d.Address] < mostFails {
		return nil
	}
	return h.last[d.Address]
}

// note is told how each handshake ended.
func (h *health) note(d wire.Dial, err error) {
	if h == nil || d.Protocol == wire.H3 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, _ := wire.FailureOf(err); f != wire.Timeout && f != wire.Refused {
		delete(h.fails, d.Address)
		return
	}
	if h.fails == nil {
		h.fails, h.last = map[netip.AddrPort]int{}, map[netip.AddrPort]error{}
	}
	h.fails[d.Address]++
	h.last[d.Address] = err
}

func (p *prober) close(c *wire.Conn) {
	c.Close()
	p.pacer.leave(c.Dial.Address)
}

// A shelf keeps the last session of each host.
type shelf struct {
	mu   sync.Mutex
	list map[ticketKey]*wire.Ticket
}

type ticketKey struct {
	target   Target
	protocol wire.Protocol
	version  uint16
	shown    bool // with the client certificate
}

func (s *shelf) put(k ticketKey, t *wire.Ticket) {
	if t == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[ticketKey]*wire.Ticket{}
	}
	s.list[k] = t
}

func (s *shelf) get(k ticketKey) *wire.Ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[k]
}
