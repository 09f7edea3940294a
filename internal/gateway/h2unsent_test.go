package gateway

import (
	"io"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// A client that takes nothing of its answers is not answered more once all such clients leave too much, but one thing at a time; and no
// buffer waits with the answers.
func TestH2Unsent(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			io.WriteString(w, big+big+big+big)
			return
		}
		io.WriteString(w, "small")
	})
	d := drive(t, mixed(up.URL))
	deaf, other := d.wire(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}), d.wire(t)
	const many = 5
	var ids []uint32
	for range many {
		id := deaf.get("/big")
		eventually(t, "an answer has begun", func() bool { return deaf.seen(id).status != "" })
		ids = append(ids, id)
	}
	eventually(t, "the answers wait, and nothing else", func() bool {
		return goroutinesIn("(*h2exchange).Room(", "") == many && goroutinesIn("(*h2exchange).Write(", "") == 0
	})
	d.unsent.Add(mostUnsent)
	for _, path := range []string{"/small", "/fixed"} {
		id := deaf.get(path)
		eventually(t, "the refusal", func() bool { return deaf.seen(id).status != "" })
		if h := deaf.seen(id); h.status != "503" {
			t.Errorf("%s is answered %s where much waits already", path, h.status)
		}
	}
	for range 3 {
		other.want(other.get("/small"), "200", "small")
		other.want(other.get("/fixed"), "200", "fixed\n")
	}
	for _, id := range ids {
		deaf.grow(id, 4*len(big))
	}
	deaf.flush()
	for _, id := range ids {
		deaf.want(id, "200", big+big+big+big)
	}
	eventually(t, "nothing waits", func() bool { return d.unsent.Kept() <= mostUnsent+4<<10 })
}
