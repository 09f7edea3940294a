package gateway

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// Streams and exchanges are used again, for other clients too. Nobody sees what is another's: every request carries a mark in its
// path, its fields and its content, and the upstream sends all of them back.
func TestH2NothingIsMixedUp(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		marks := r.Header["Mark"]
		w.Header().Set("X-Seen", strings.Join([]string{r.URL.Path, strings.Join(marks, "|"), r.Header.Get("Cookie"), r.Trailer.Get("Sum")}, ","))
		if len(text) > 1000 {
			w.Header().Set("Trailer", "Sum")
		}
		w.Write(text)
		if len(text) > 1000 {
			w.Header().Set("Sum", marks[0])
		}
	})
	d := drive(t, mixed(up.URL))
	const clients, rounds, together = 6, 200, 5
	var all sync.WaitGroup
	for n := range clients {
		c := d.wire(t, wide)
		c.out.WriteWindowUpdate(0, wide.Val)
		all.Go(func() { mixUp(c, rand.New(rand.NewPCG(1, uint64(n))), fmt.Sprint("client", n), rounds, together) })
	}
	all.Wait()
}

// A marked is a request on its way.
type marked struct {
	id         uint32
	status     string
	mark, want string // what the upstream is to have seen
	body       string
	trailers   bool
	reset      bool // the client has given it up
}

func mixUp(c *wire, r *rand.Rand, who string, rounds, together int) {
	for round := range rounds {
		var asked []marked
		for i := range 1 + r.IntN(together) {
			mark := fmt.Sprintf("%s-%d-%d", who, round, i)
			asked = append(asked, c.mark(r, mark))
		}
		c.flush()
		for _, m := range asked {
			if m.reset {
				continue
			}
			h := c.answer(m.id)
			sum := ""
			if m.trailers {
				sum = m.mark
			}
			switch {
			case h.status != m.status || !h.ended:
				c.t.Errorf("%s: status %s, ended %v, reset %v", m.mark, h.status, h.ended, h.reset)
				return
			case h.value("x-seen") != m.want || string(h.body) != m.body || valueOf(h.trailers, "sum") != sum:
				c.t.Errorf("%s got %q, %d bytes, trailer %q; want %q, %d bytes, trailer %q", m.mark, h.value("x-seen"), len(h.body),
					valueOf(h.trailers, "sum"), m.want, len(m.body), sum)
				return
			}
		}
		c.mu.Lock()
		clear(c.streams)
		c.order = c.order[:0]
		c.mu.Unlock()
	}
}

// mark queues a request.
func (c *wire) mark(r *rand.Rand, mark string) (m marked) {
	m.mark, m.status = mark, "200"
	switch r.IntN(6) {
	case 0:
		m.id, m.body = c.ask(true, "GET", "/fixed", "mark", mark), "fixed\n"
	case 1:
		m.id, m.want = c.ask(true, "GET", "/"+mark, "mark", mark), "/"+mark+","+mark+",,"
	case 2:
		m.id, m.want = c.ask(true, "GET", "/"+mark, "mark", mark, "cookie", "a="+mark, "mark", "second", "cookie", "b"),
			"/"+mark+","+mark+"|second,a="+mark+"; b,"
	case 3:
		m.body = strings.Repeat(mark, 1+r.IntN(10))
		m.id, m.want = c.ask(false, "POST", "/"+mark, "mark", mark, "content-length", fmt.Sprint(len(m.body))), "/"+mark+","+mark+",,"
		c.out.WriteData(m.id, true, []byte(m.body))
	case 4:
		m.body = strings.Repeat(mark, 200)
		m.trailers = true
		m.id, m.want = c.ask(false, "PUT", "/"+mark, "mark", mark), "/"+mark+","+mark+",,"+mark
		c.out.WriteData(m.id, false, []byte(m.body))
		c.headers(m.id, true, "sum", mark)
	case 5:
		m.id, m.status, m.body = c.ask(true, "GET", "/broken", "mark", mark), "502", "502 Bad Gateway\n"
	}
	if r.IntN(6) == 0 {
		m.reset = true
		if r.IntN(2) == 0 {
			c.flush() // in a read of its own
		}
		c.out.WriteRSTStream(m.id, http2.ErrCodeCancel)
	}
	return m
}
