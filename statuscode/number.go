package statuscode

import (
	"errors"
	"fmt"
)

// Errors of [Find].
var (
	ErrMalformed  = errors.New("a status code is a number of three digits")
	ErrOutOfRange = errors.New("status codes go from 100 to 599")
	ErrUnknown    = errors.New("the registry has no such code")
)

// Find returns the code that s names, such as "421". The error is one of the errors above and what was typed.
func Find(s string) (*Code, error) {
	n := 0
	for _, r := range []byte(s) {
		if r < '0' || r > '9' {
			return nil, fmt.Errorf("%q: %w", clip(s, mostQuery), ErrMalformed)
		}
		n = min(n*10+int(r-'0'), 1000)
	}
	switch {
	case s == "":
		return nil, fmt.Errorf("%q: %w", s, ErrMalformed)
	case n < 100 || n > 599:
		return nil, fmt.Errorf("%q: %w", clip(s, mostQuery), ErrOutOfRange)
	case len(s) != 3:
		return nil, fmt.Errorf("%q: %w", clip(s, mostQuery), ErrMalformed)
	}
	c := Lookup(n)
	if c == nil {
		return nil, fmt.Errorf("%q: %w", s, ErrUnknown)
	}
	return c, nil
}
