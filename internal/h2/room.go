package h2

import (
	"slices"
	"sync"
)

// Output that holds much content is gathered in large buffers, which all sessions share: they are needed for a moment, and the one that
// was used last is still in the processor's cache. What is not larger than keptOut stays with a session.
const (
	keptOut  = 8 << 10
	largeOut = 96 << 10 // of Config.MaxOutput as it usually is, with the frame that goes beyond it
)

var largeOuts = sync.Pool{New: func() any { return new([largeOut]byte) }}

// room makes room in the output for n bytes more.
func (s *Session) room(n int) {
	need := len(s.out) + n
	switch {
	case need <= cap(s.out):
	case need <= keptOut || need > largeOut:
		s.out = slices.Grow(s.out, n)
	default:
		small := s.out
		s.out = append(largeOuts.Get().(*[largeOut]byte)[:0], small...)
		if s.small == nil {
			s.small = small[:0]
		}
	}
}

// Spare takes a buffer back that Output has handed over and nobody uses any more, and returns what Output takes as its next one; nil:
// nothing is kept of it.
func Spare(out []byte) []byte {
	switch {
	case cap(out) <= keptOut:
		return out[:0]
	case cap(out) == largeOut:
		largeOuts.Put((*[largeOut]byte)(out[:largeOut]))
	}
	return nil
}
