package originframe

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/usher-http/usher/authority"
)

// A Set is the Origin Set of one connection, as its client keeps it (RFC 8336 section 2.3).
//
// The zero Set is uninitialised: no ORIGIN frame was received, and the rules of RFC 9113 section 9.1.1 alone decide what
// the connection may carry. The first call of Receive or Add that succeeds initialises it with Initial and what the
// call brings. From then on the connection must not carry an origin that Contains denies; whether the certificate
// covers one that it affirms is still to be asked (section 2.4).
//
// A Set keeps at most Limits.Origins origins of at most 267 bytes each, however many frames come. It must not be
// used by more than one goroutine at a time and must not be copied after its first use.
type Set struct {
	// Initial becomes the first member, see InitialOrigin. The zero Origin is none: a smaller set is always safe.
	// Set it before the first use.
	Initial authority.Origin
	// Limits bound each payload and the set. Set it before the first use.
	Limits Limits

	members        map[authority.Origin]struct{} // nil: uninitialised
	initialRefused bool                          // Initial was answered 421 before the first frame
}

// Initialized tells whether an ORIGIN frame was processed. A set that was initialised never becomes
// uninitialised again, not even when all its members were removed.
func (s *Set) Initialized() bool { return s.members != nil }

// Receive processes the payload of an ORIGIN frame that [Accept] took: added tells how many members are new,
// ignored how many entries could not be parsed. An empty payload is a valid frame. The error is a [*TruncatedError] or a
// [*LimitError]; the set is then as it was before, uninitialised if it was so: only a frame that was "successfully
// processed" initialises it.
func (s *Set) Receive(payload []byte) (added, ignored int, err error) {
	origins, ignored, err := Parse(payload, s.Limits)
	if err != nil {
		return 0, 0, err
	}
	if added, err = s.Add(origins...); err != nil {
		return 0, 0, err
	}
	return added, ignored, nil
}

// Add does what Receive does with origins that are parsed already. An origin that was removed is a member again
// if it is among them: section 2.3 lets the frames after a 421 add any origin. All are added or, on an error, none:
// a [*LimitError], or an origin that is not http or https with a valid host.
func (s *Set) Add(origins ...authority.Origin) (added int, err error) {
	fresh, err := s.fresh(origins)
	if err != nil {
		return 0, err
	}
	if s.members == nil {
		s.members = make(map[authority.Origin]struct{}, len(fresh))
	}
	for o := range fresh {
		s.members[o] = struct{}{}
	}
	return len(fresh), nil
}

// fresh returns those that would become members, Initial too where this call initialises the set.
func (s *Set) fresh(origins []authority.Origin) (map[authority.Origin]struct{}, error) {
	fresh := map[authority.Origin]struct{}{}
	if s.members == nil && valid(s.Initial) && !s.initialRefused {
		fresh[s.Initial] = struct{}{}
	}
	for _, o := range origins {
		if !valid(o) {
			return nil, fmt.Errorf("origin %q cannot stand in an Origin Set", o)
		}
		if s.Contains(o) {
			continue
		}
		fresh[o] = struct{}{}
		if n := len(s.members) + len(fresh); n > s.Limits.origins() {
			return nil, &LimitError{"origins in an Origin Set", s.Limits.origins(), n}
		}
	}
	return fresh, nil
}

// Remove takes out the origin of a request that was answered 421 (Misdirected Request) and tells whether it was a
// member. Only a later ORIGIN frame that lists the origin brings it back. Before the set is initialised there is
// nothing to take out; the set then remembers one thing, that Initial was refused, and begins without it.
func (s *Set) Remove(o authority.Origin) bool {
	if s.members == nil {
		s.initialRefused = s.initialRefused || o == s.Initial
		return false
	}
	_, ok := s.members[o]
	delete(s.members, o)
	return ok
}

// Contains tells whether the origin is a member. An uninitialised set has none; ask Initialized first.
func (s *Set) Contains(o authority.Origin) bool {
	_, ok := s.members[o]
	return ok
}

// Len returns the number of members.
func (s *Set) Len() int { return len(s.members) }

// All returns the members, sorted by their serialisation, in a slice of the caller's own.
func (s *Set) All() []authority.Origin {
	all := make([]authority.Origin, 0, len(s.members))
	for o := range s.members {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b authority.Origin) int { return cmp.Compare(a.String(), b.String()) })
	return all
}
