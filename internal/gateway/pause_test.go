package gateway

import (
	"bufio"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
)

// countLarge counts the large buffers that are held by somebody, or kept by the pool, until the test ends.
func countLarge(t *testing.T) *atomic.Int64 {
	live := new(atomic.Int64)
	before := largeBuffers.New
	t.Cleanup(func() { largeBuffers.New = before })
	largeBuffers.New = func() any {
		b := new([largeBuffer]byte)
		live.Add(1)
		runtime.AddCleanup(b, func(*atomic.Int64) { live.Add(-1) }, live)
		return b
	}
	return live
}

// Answers whose upstreams pause, like event streams, hold no large buffer meanwhile, and what has come of them is the client's.
func TestPausesHoldNoBuffer(t *testing.T) {
	const streams = 40
	live := countLarge(t)
	let := make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			io.WriteString(w, "first\n")
		}
		http.NewResponseController(w).Flush()
		select {
		case <-let:
		case <-r.Context().Done():
		}
		io.WriteString(w, "second\n")
	})
	r := newFolder(t).start(t, proxied(up))
	for _, proto := range protocols {
		for _, path := range []string{"/", "/silent"} {
			c := r.client(t, proto, "tls", "a.test.example")
			var bodies []*bufio.Reader
			for range streams {
				res, err := c.http.Do(c.request(t, "GET", "a.test.example", path, nil))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				in := bufio.NewReader(res.Body)
				if bodies = append(bodies, in); path == "/" {
					if text, err := in.ReadString('\n'); text != "first\n" {
						t.Fatalf("%s: %q, %v", proto, text, err)
					}
				}
			}
			eventually(t, "no large buffer is held, or counted as what clients have not taken", func() bool {
				runtime.GC()
				return live.Load() < streams/4 && r.unsent.Kept() <= streams*largeBuffer/4
			})
			for range streams {
				let <- struct{}{}
			}
			for _, in := range bodies {
				if text, err := io.ReadAll(in); string(text) != "second\n" || err != nil {
					t.Errorf("%s: %q, %v", proto, text, err)
				}
			}
		}
	}
}
