package probe

import "github.com/usher-http/usher/probe/wire"

// walls finds the hosts whose refusal without a word is about the connection: on a connection of their own that asked for a client certificate,
// hosts that are open elsewhere are refused, too, and alike. One that is about a password or the request comes by the request's host, and the
// others are served there, or get another answer. Of a connection that is just closed nothing is said: what is behind it may be down.
func (j *judge) walls(seen []*Observation) {
	for _, h := range j.hosts {
		for _, o := range h.Own {
			o.Walled = false
		}
	}
	count := map[*Own]int{} // others who were refused alike; -1: somebody was not
	for _, x := range seen {
		if x == nil || x.Check != CheckReuse || x.Certificate || x.From == nil {
			continue
		}
		o := x.From.Own[x.Protocol]
		if !o.bare() || x.From.open() {
			continue
		}
		for i := range x.Asks {
			switch a := &x.Replies[i].Answer; {
			case !a.OK() || a.Status == 421 || !x.Asks[i].Host.open() || count[o] < 0:
			case o.Plain.Like(a) == Same:
				count[o]++
			default:
				count[o] = -1
			}
		}
	}
	for o, n := range count {
		o.Walled = n > 0
	}
}

// bare reports whether the host asked for a certificate and refuses without saying why: an answer that a password would have, or a bad request,
// and that our certificate does not get as well.
func (o *Own) bare() bool {
	if o == nil {
		return false
	}
	a, ok := o.Plain.Good()
	if !ok || !o.Facts.Asked || o.ClientAuth() != AuthUnclear || a.Field("www-authenticate") != "" {
		return false
	}
	_, known := o.Shown.Good()
	return !known || o.Shown.Like(&a) == Different
}

// open reports whether the host answers everybody on a connection of its own, over any protocol.
func (h *Host) open() bool {
	for _, p := range []wire.Protocol{wire.H1, wire.H2, wire.H3} {
		if o := h.Own[p]; o != nil && o.Failure == "" {
			if a, ok := o.Plain.Good(); ok && served(&a) {
				return true
			}
		}
	}
	return false
}
