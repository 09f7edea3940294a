package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/usher-http/usher/internal/rawh3"
)

// What a client may have open, and what it may send that nobody reads, is bounded.
func TestH3Limits(t *testing.T) {
	f, text := overH3(t, unreadServer(t))
	r := f.start(t, text)
	c := r.deaf(t)
	open := 1 // the control stream
	for ; ; open++ {
		s, err := c.QUIC.OpenUniStream()
		if err != nil {
			if _, ok := errors.AsType[*quic.StreamLimitReachedError](err); !ok {
				t.Fatal(err)
			}
			break
		}
		s.Write([]byte{0x40}) // the first byte of a type
	}
	if open != 16 {
		t.Errorf("%d streams in one direction", open)
	}
	open = 0
	for ; ; open++ {
		if _, err := c.QUIC.OpenStream(); err != nil {
			if _, ok := errors.AsType[*quic.StreamLimitReachedError](err); !ok {
				t.Fatal(err)
			}
			break
		}
	}
	if open != 100 {
		t.Errorf("%d requests at once", open)
	}
	q := r.listeners[0].quicConfig()
	if most := q.MaxStreamReceiveWindow; most != 256<<10 || q.InitialStreamReceiveWindow != most {
		t.Errorf("a window of %d to %d for a stream", q.InitialStreamReceiveWindow, most)
	}
	if most := q.MaxConnectionReceiveWindow; most != 1<<20 || q.InitialConnectionReceiveWindow != most {
		t.Errorf("a window of %d to %d for a connection", q.InitialConnectionReceiveWindow, most)
	}
}

// Content that is many times the windows comes whole.
func TestH3LongUpload(t *testing.T) {
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for p := make([]byte, 16<<10); ; {
			m, err := r.Body.Read(p)
			if n += m; err != nil {
				break
			}
		}
		w.Write([]byte(strconv.Itoa(n)))
	})
	f, text := overH3(t, up.URL)
	r := f.start(t, text)
	c := r.deaf(t)
	res, err := c.Do(t.Context(), rawh3.Request("POST", "https", c.at, "/"), big+big+big+big)
	if err != nil || string(res.Body) != strconv.Itoa(4<<20) {
		t.Errorf("%v, %v", res, err)
	}
}
