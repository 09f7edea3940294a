package probe

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// A Likeness says whether two answers have the same content.
type Likeness int

const (
	Different Likeness = iota
	Unsure
	Same
)

// Like compares an answer with a baseline: status, where a redirect leads, type and body. A page that differs from itself when it is asked
// twice may differ as much from the answer. Where it cannot tell it says Unsure.
func (b Baseline) Like(a *wire.Answer) Likeness {
	best := Different
	noise := b.noise()
	for i := range b {
		if l := like(&b[i], a, noise); l > best {
			best = l
		}
	}
	return best
}

// noise is how alike the page is to itself: 1 is entirely.
func (b Baseline) noise() float64 {
	if len(b) < 2 || !b[0].OK() || !b[1].OK() {
		return 1
	}
	return similar(b[0].Body, b[1].Body)
}

// exact reports whether the answer is a page of the baseline byte for byte. Empty pages are like any other empty page.
func (b Baseline) exact(a *wire.Answer) bool {
	for i := range b {
		if b[i].OK() && b[i].Status == a.Status && b[i].Size > 0 && b[i].Digest == a.Digest {
			return true
		}
	}
	return false
}

func like(x, a *wire.Answer, noise float64) Likeness {
	if !x.OK() || !a.OK() || x.Status != a.Status {
		return Different
	}
	if leads(x.Field("location")) != leads(a.Field("location")) || mediaType(x) != mediaType(a) {
		return Different
	}
	if x.Size == 0 && a.Size == 0 { // HEAD, for one: fields are all there is
		for _, name := range []string{"content-length", "etag"} {
			if v, w := x.Field(name), a.Field(name); v != w && v != "" && w != "" {
				return Different
			}
		}
	}
	if x.Digest == a.Digest && x.Size == a.Size {
		return Same
	}
	s := similar(x.Body, a.Body)
	switch {
	case noise < 0.3:
		return Unsure // it is another page each time
	case s >= min(0.95, noise-0.05):
		return Same
	case noise == 1 && s < 0.9, s < noise-0.3:
		return Different // a page that does not change by itself has little reason to
	}
	return Unsure
}

func mediaType(a *wire.Answer) string {
	kind, _, _ := strings.Cut(a.Field("content-type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// leads is where a redirect leads, without its query: that often holds a random token.
func leads(location string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return location
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + u.Path
}

// mostWords bounds what is compared.
const mostWords = 20_000

// similar is the share of words that two texts have in common, from 0 to 1 (the Dice coefficient of the multisets).
func similar(a, b []byte) float64 {
	if bytes.Equal(a, b) {
		return 1
	}
	x, n := tokens(a)
	y, m := tokens(b)
	if n+m == 0 {
		return 1
	}
	common := 0
	for w, k := range x {
		common += min(k, y[w])
	}
	return 2 * float64(common) / float64(n+m)
}

// tokens counts runs of letters and digits.
func tokens(text []byte) (map[string]int, int) {
	count := map[string]int{}
	n := 0
	for _, w := range bytes.FieldsFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127)
	}) {
		if n++; n > mostWords {
			break
		}
		count[string(w)]++
	}
	return count, n
}
