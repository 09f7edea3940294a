package usher

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/usher-http/usher/authority"
)

// A listener is a checked copy of a Listener.
type listener struct {
	Listener
	scheme authority.Scheme
}

func newListener(l Listener) (listener, error) {
	in := listener{Listener: l, scheme: authority.HTTPS}
	if l.Scheme != "" {
		in.scheme = authority.ParseScheme(l.Scheme)
	}
	if in.scheme == authority.NoScheme {
		return in, fmt.Errorf("the scheme is http or https, not %q", l.Scheme)
	}
	for _, p := range l.TrustedGateways {
		if !p.IsValid() || p.Addr().Is4In6() {
			return in, fmt.Errorf("trusted gateways %q: addresses are matched as IPv4 or IPv6, not as one in the other", p)
		}
	}
	in.Ports, in.TrustedGateways = slices.Clone(l.Ports), slices.Clone(l.TrustedGateways)
	return in, nil
}

func (s *state) listener(name string) *listener {
	for i := range s.listeners {
		if s.listeners[i].Name == name {
			return &s.listeners[i]
		}
	}
	return nil
}

// trusts reports whether the peer address belongs to a trusted gateway of the listener.
func (s *state) trusts(name string, peer netip.Addr) bool {
	l := s.listener(name)
	return l != nil && slices.ContainsFunc(l.TrustedGateways, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// plaintext reports whether the listener is one for http origins.
func (s *state) plaintext(name string) bool {
	l := s.listener(name)
	return l != nil && l.scheme == authority.HTTP
}
