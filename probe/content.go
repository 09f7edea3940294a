package probe

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// A spot is an address with a protocol; strangers are the pages that names which nobody has get there.
type spot struct {
	address  netip.AddrPort
	protocol wire.Protocol
}

// learn keeps what names that nobody has are answered with. Pages that show the name are alike without it.
func (j *judge) learn(seen []*Observation) {
	for _, x := range seen {
		if x == nil || x.Check != CheckParse {
			continue
		}
		for i := range x.Asks {
			if a := x.Replies[i].Answer; x.Asks[i].Kind == UnknownAuthority && a.OK() {
				key := spot{x.Address, x.Protocol}
				j.strangers[key] = append(j.strangers[key], nameless(a, unknownName))
			}
		}
	}
}

// unknown reports whether an answer is 2xx with content that nobody has shown before: neither host on its own connection, nor the page that
// names get which nobody has.
func (j *judge) unknown(e *evidence) bool {
	return success(e.reply) && e.content == OfNobody && j.stranger(e) == Different
}

// stranger tells whether an answer is the page that names get which nobody has.
func (j *judge) stranger(e *evidence) Likeness {
	a := nameless(*e.reply, or(nameOf(e.host), e.request.Authority))
	return j.strangers[spot{e.address, e.protocol}].Like(&a)
}

// nameless is an answer without the name that was asked for, which default pages like to show.
func nameless(a wire.Answer, name string) wire.Answer {
	host, _, _ := strings.Cut(name, ":")
	if body := bytes.ReplaceAll(a.Body, []byte(host), nil); host != "" && len(body) < len(a.Body) {
		a.Body, a.Size, a.Digest = body, int64(len(body)), sha256.Sum256(body)
	}
	return a
}

// success is 2xx.
func success(a *wire.Answer) bool { return a.OK() && a.Status >= 200 && a.Status < 300 }

// served is 2xx and 3xx.
func served(a *wire.Answer) bool { return a.OK() && a.Status < 400 }

// content tells whose content an answer is, of b's who was asked for and a's whose connection it is; a may be nil.
func content(x *wire.Answer, a, b *Host, proto wire.Protocol) Content {
	if !x.OK() {
		return NoContent
	}
	exactB, likeB := compare(x, b, proto)
	exactA, likeA := compare(x, a, proto)
	switch {
	case exactA && exactB:
		return OfBoth
	case exactB:
		return OfHost
	case exactA:
		return OfConnection
	case likeA == Same && likeB == Same:
		return OfBoth
	case likeB == Same:
		return OfHost
	case likeB == Unsure:
		return OfUnsure
	case likeA == Same:
		return OfConnection
	case likeA == Unsure:
		return OfUnsure
	}
	return OfNobody
}

func compare(x *wire.Answer, h *Host, proto wire.Protocol) (exact bool, best Likeness) {
	if h == nil {
		return false, Different
	}
	o := h.own(proto)
	if o == nil {
		return false, Different
	}
	for _, list := range []Baseline{o.Plain, o.Shown} {
		exact = exact || list.exact(x)
		best = max(best, list.Like(x))
	}
	return exact, best
}
