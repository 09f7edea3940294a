package probe

import (
	"context"
	"net/netip"
	"sync"

	"github.com/usher-http/usher/probe/wire"
)

// An Observation is what came of a step.
type Observation struct {
	*Step
	Facts   wire.Facts   // of the first connection
	Failure wire.Failure // of its handshake: nothing was asked
	Detail  string
	Hello   string // for AddressSNI: server_hello, or the name of the alert
	Replies []Reply
}

// A Reply is the answer to the ask of the same index. One that was never sent is the zero Reply.
type Reply struct {
	wire.Answer
	Facts wire.Facts // of the connection that it came on
	// After is what the connection's own host answers on it after a 421 for another one; nil: not asked.
	After *wire.Answer
}

// Run does the steps, those of different addresses side by side. The error is ctx's.
func Run(ctx context.Context, steps []*Step, o Options) ([]*Observation, error) {
	return newProber(o).run(ctx, steps)
}

func (p *prober) run(ctx context.Context, steps []*Step) ([]*Observation, error) {
	seen := make([]*Observation, len(steps))
	queues := byAddress(steps)
	var mu sync.Mutex
	finished := 0
	// An address takes one of the places, however many steps wait for it: a slow one does not hold up the others.
	each(p.Parallel, len(queues), func(q int) {
		each(p.Concurrency, len(queues[q]), func(i int) {
			seen[queues[q][i]] = p.observe(ctx, steps[queues[q][i]])
		}, func(int) {
			mu.Lock()
			defer mu.Unlock()
			finished++
			p.Progress("checks", finished, len(steps))
		})
	}, func(int) {})
	return seen, ctx.Err()
}

// byAddress sorts the indexes of steps by where they lead.
func byAddress(steps []*Step) (queues [][]int) {
	index := map[netip.AddrPort]int{}
	for i, s := range steps {
		q, ok := index[s.Address]
		if !ok {
			q = len(queues)
			index[s.Address] = q
			queues = append(queues, nil)
		}
		queues[q] = append(queues[q], i)
	}
	return queues
}

func (p *prober) observe(ctx context.Context, s *Step) *Observation {
	x := &Observation{Step: s, Replies: make([]Reply, len(s.Asks))}
	if s.Kind == AddressSNI {
		p.hello(ctx, x)
		return x
	}
	d := p.dial(s.Address, s.Protocol, s.ServerName)
	d.Version = s.Version
	if s.Certificate {
		d.Certificate = p.Certificate
	}
	if s.Session != nil {
		if d.Resume = p.ticket(ctx, s); d.Resume == nil {
			x.Failure, x.Detail = NoTicket, "the server gives no sessions to resume"
			return x
		}
		d.Certificate = nil
	}
	p.asks(ctx, d, x)
	return x
}

// NoTicket is the failure of a resumption for which there is no session.
const NoTicket wire.Failure = "no-ticket"

// asks sends the requests of a step, on as many connections as it takes.
func (p *prober) asks(ctx context.Context, d wire.Dial, x *Observation) {
	var c *wire.Conn
	defer func() {
		if c != nil {
			p.close(c)
		}
	}()
	for i := range x.Asks {
		for fresh := false; ; {
			if c != nil && !c.Usable() {
				p.close(c)
				c = nil
			}
			if c == nil {
				opened, facts, err := p.open(ctx, d)
				if err != nil {
					if i == 0 {
						x.Facts = facts
						x.Failure, x.Detail = wire.FailureOf(err)
						return
					}
					return // it has gone away: the rest is never asked
				}
				c, fresh = opened, true
			}
			x.Replies[i] = p.reply(ctx, c, x.Step, &x.Asks[i])
			if fresh || x.Replies[i].Failure != wire.Closed || ctx.Err() != nil {
				break
			}
			// The connection may have been closed for what came before: only a new one tells what this request does.
		}
		if i == 0 {
			x.Facts = c.Facts
		}
	}
}

func (p *prober) reply(ctx context.Context, c *wire.Conn, s *Step, ask *Ask) Reply {
	if err := p.pacer.turn(ctx, s.Address); err != nil {
		return Reply{}
	}
	r := ask.Request
	r.UserAgent = p.UserAgent
	if r.Method == "" {
		r.Method = p.method()
	}
	if r.Path == "" {
		r.Path = p.Path
	}
	reply := Reply{Answer: c.Do(ctx, &r)}
	reply.Facts = c.Facts // a certificate may be asked for late
	if reply.Status == 421 && s.From != nil && ask.Host != s.From && s.Check == CheckReuse && p.pacer.turn(ctx, s.Address) == nil {
		after := c.Do(ctx, p.request(s.From.Name()))
		reply.After = &after
	}
	return reply
}

// ticket returns a session of the step's other host, from the survey or from a connection for the purpose. Under TLS 1.3 sessions come
// behind the handshake: an answer is waited for.
func (p *prober) ticket(ctx context.Context, s *Step) *wire.Ticket {
	key := ticketKey{s.Session.Target, s.Protocol, s.Version, s.Certificate}
	if t := p.tickets.get(key); t != nil {
		return t
	}
	d := p.dial(s.Address, s.Protocol, s.Session.SNI())
	d.Version = s.Version
	if s.Certificate {
		d.Certificate = p.Certificate
	}
	c, _, err := p.open(ctx, d)
	if err != nil {
		return nil
	}
	defer p.close(c)
	if p.pacer.turn(ctx, s.Address) == nil {
		c.Do(ctx, p.request(s.Session.Name()))
	}
	p.tickets.put(key, c.Ticket())
	return c.Ticket()
}

func (p *prober) hello(ctx context.Context, x *Observation) {
	if p.pacer.enter(ctx, x.Address) != nil {
		return
	}
	defer p.pacer.leave(x.Address)
	if p.pacer.turn(ctx, x.Address) != nil {
		return
	}
	answer, name, err := wire.Hello(ctx, x.Address, x.ServerName, p.Limits)
	switch {
	case err != nil:
		x.Failure, x.Detail = wire.FailureOf(err)
	case name != "":
		x.Hello = name
	default:
		x.Hello = answer
	}
}
