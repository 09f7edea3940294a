package soak

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// table is what every content is cut from. Its length is odd, so that no framing fits into it: bytes that come from elsewhere in the
// same content, or from another one, differ from what is due.
var table = func() []byte {
	b := make([]byte, 1<<20+7)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// A content is the content that belongs to a seed, and how far somebody has got in it.
type content struct {
	start int // in the table
	at    int64
	size  int64
}

// Which of the two contents of an exchange is meant.
const (
	ofRequest = iota
	ofAnswer
)

func newContent(seed uint64, which int, size int64) *content {
	return &content{start: int(mix(seed+uint64(which)) % uint64(len(table))), size: size}
}

// mix is SplitMix64's last step: neighbours become strangers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (c *content) left() int64 { return c.size - c.at }

// next returns up to n of the bytes that come next, and goes past them. The slice is not to be changed.
func (c *content) next(n int) []byte {
	from := (c.start + int(c.at%int64(len(table)))) % len(table)
	n = int(min(int64(n), c.left(), int64(len(table)-from)))
	c.at += int64(n)
	return table[from : from+n]
}

// check compares what has arrived with what comes next, and goes past it. It returns what is wrong, empty: nothing.
func (c *content) check(p []byte) string {
	for len(p) > 0 {
		at := c.at
		want := c.next(len(p))
		if len(want) == 0 {
			return fmt.Sprintf("%d bytes more than the %d that there are", len(p), c.size)
		}
		if got := p[:len(want)]; !bytes.Equal(got, want) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			return fmt.Sprintf("byte %d of %d is %#02x, and not %#02x", at+int64(i), c.size, got[i], want[i])
		}
		p = p[len(want):]
	}
	return ""
}
