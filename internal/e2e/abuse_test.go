package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The tests of this file run one after the other, since they measure. Each is an attack that costs the client little and would cost a
// careless server much: see (*siege).attack for what must hold whatever the attack is.

const calm = "GOAWAY ENHANCE_YOUR_CALM"

func requestFor(path string) []string {
	return []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", path}
}

func upload() []string {
	return []string{":method", "POST", ":scheme", "https", ":authority", "a.test", ":path", "/slow"}
}

// stamina is how long an attack goes on that the server has not had enough of, beyond the time that it is to last: a slow machine takes
// seconds for what is milliseconds elsewhere.
const stamina = 20 * time.Second

// flood sends batches of frames until the server has had enough; it has the stamina more for that than the attack lasts. It returns how
// many frames were sent whole.
func (c *wire) flood(until time.Time, frames int, batch func(f *http2.Framer)) (sent int) {
	until = until.Add(stamina)
	c.SetWriteDeadline(until)
	var err error
	for time.Now().Before(until) && c.end() == "open" {
		if err = c.send(batch); err != nil {
			break
		}
		sent += frames
	}
	c.settle(err)
	return sent
}

// greet reads, from here on, and waits until both sides have acknowledged the other one's settings, so that no acknowledgement gets
// between what a test sends.
func (c *wire) greet() {
	go c.read()
	for limit := time.Now().Add(patience); time.Now().Before(limit) && c.end() == "open" && c.count(http2.FrameSettings) < 2; {
		time.Sleep(time.Millisecond)
	}
}

// settle waits a moment for the server's last words: what was sent last may have been what it had enough of. Where sending has failed the
// connection has ended, which the reader is about to see.
func (c *wire) settle(failed error) {
	moment := 300 * time.Millisecond
	if failed != nil && !errors.Is(failed, os.ErrDeadlineExceeded) {
		moment = patience
	}
	for limit := time.Now().Add(moment); time.Now().Before(limit) && c.end() == "open"; {
		time.Sleep(5 * time.Millisecond)
	}
}

// TestAbuseRapidReset: streams that are opened and reset at once. What they asked for is slow, so that each would go on for a while.
func TestAbuseRapidReset(t *testing.T) {
	s := newSiege(t, floodLimits)
	r := s.attack(t, 4, time.Second, bound(4*250*32<<10), func(c *wire, until time.Time) int {
		c.greet()
		id := uint32(1)
		return c.flood(until, 100, func(f *http2.Framer) {
			for range 50 {
				c.writeRequest(f, id, true, requestFor("/slow")...)
				f.WriteRSTStream(id, http2.ErrCodeCancel)
				id += 2
			}
		})
	})
	r.want(t, 1000, calm, "closed")
	// Not more is under way at a time than the streams that may be open, whatever was opened and reset.
	if most := s.most.Load(); most > 4*250 {
		t.Errorf("%d requests were at the upstream at once", most)
	}
	t.Logf("%d requests at the upstream, %d at once", s.begun.Load(), s.most.Load())
}

// TestAbuseContinuation: a header section in ever more CONTINUATION frames.
func TestAbuseContinuation(t *testing.T) {
	for _, test := range []struct {
		name string
		text []byte
	}{
		{"large", bytes.Repeat([]byte("\x00\x01x\x1eyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"), 400)},
		{"small", []byte("\x00\x01x\x01y")},
		{"empty", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSiege(t, floodLimits)
			r := s.attack(t, 4, 500*time.Millisecond, bound(4*1<<20), func(c *wire, until time.Time) int {
				c.greet()
				c.send(func(f *http2.Framer) { c.beginRequest(f, 1, c.compress(requestFor("/slow")...)) })
				return c.flood(until, 20, func(f *http2.Framer) {
					for range 20 {
						f.WriteContinuation(1, false, test.text)
					}
				})
			})
			r.want(t, 100, calm, "closed")
			if s.begun.Load() > 0 {
				t.Error("a request without end reached the upstream")
			}
		})
	}
}

// TestAbuseFlood: frames that must be looked at, or even answered, and that bring nobody anything.
func TestAbuseFlood(t *testing.T) {
	const batch = 200
	for _, test := range []struct {
		name  string
		begin func(c *wire, f *http2.Framer)
		frame func(f *http2.Framer, n int)
	}{
		{"SETTINGS", nil, func(f *http2.Framer, _ int) { f.WriteSettings() }},
		{"SETTINGS with values", nil, func(f *http2.Framer, n int) {
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(n)}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(n)})
		}},
		{"PING", nil, func(f *http2.Framer, _ int) { f.WritePing(false, [8]byte{}) }},
		{"empty DATA", func(c *wire, f *http2.Framer) { c.writeRequest(f, 1, false, upload()...) },
			func(f *http2.Framer, _ int) { f.WriteData(1, false, nil) }},
		{"DATA that is padding", func(c *wire, f *http2.Framer) { c.writeRequest(f, 1, false, upload()...) },
			func(f *http2.Framer, _ int) { f.WriteDataPadded(1, false, nil, make([]byte, 2)) }},
		{"PRIORITY", nil, func(f *http2.Framer, n int) {
			f.WritePriority(uint32(2*n+1), http2.PriorityParam{StreamDep: uint32(2*n + 3), Weight: uint8(n)})
		}},
		{"WINDOW_UPDATE", nil, func(f *http2.Framer, _ int) { f.WriteWindowUpdate(0, 1) }},
		{"WINDOW_UPDATE on a stream", func(c *wire, f *http2.Framer) { c.writeRequest(f, 1, false, upload()...) },
			func(f *http2.Framer, _ int) { f.WriteWindowUpdate(1, 1) }},
		{"frames of no known type", nil, func(f *http2.Framer, _ int) { f.WriteRawFrame(0xee, 0, 0, nil) }},
		{"malformed requests", nil, func(f *http2.Framer, n int) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*n + 1), BlockFragment: []byte{0x82}, EndStream: true, EndHeaders: true})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSiege(t, floodLimits)
			r := s.attack(t, 4, 500*time.Millisecond, bound(4*1<<20), func(c *wire, until time.Time) int {
				c.greet()
				if test.begin != nil {
					c.send(func(f *http2.Framer) { test.begin(c, f) })
				}
				n := 0
				return c.flood(until, batch, func(f *http2.Framer) {
					for range batch {
						test.frame(f, n)
						n++
					}
				})
			})
			r.want(t, 10*batch, calm, "closed")
		})
	}
}

// TestAbuseDeafFlood: the same from clients that do not read what they are answered. The answers must not pile up.
func TestAbuseDeafFlood(t *testing.T) {
	s := newSiege(t, floodLimits)
	r := s.attack(t, 4, time.Second, bound(4*2<<20), func(c *wire, until time.Time) (sent int) {
		until = until.Add(stamina)
		c.SetWriteDeadline(until)
		var err error
		for time.Now().Before(until) {
			if err = c.send(func(f *http2.Framer) {
				for range 500 {
					f.WritePing(false, [8]byte{})
				}
			}); err != nil {
				break
			}
			sent += 500
		}
		go c.read()
		c.settle(err)
		return sent
	})
	r.want(t, 2000, calm, "closed")
}

// TestAbuseBomb: header sections that are small on the wire and large when they are unpacked.
func TestAbuseBomb(t *testing.T) {
	// A field of 4,000 bytes goes into the dynamic table, and then there is a byte for each time it is repeated.
	var bomb bytes.Buffer
	e := hpack.NewEncoder(&bomb)
	for i := 0; i < 8; i += 2 {
		e.WriteField(hpack.HeaderField{Name: requestFor("/slow")[i], Value: requestFor("/slow")[i+1]})
	}
	e.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 4000)})
	bomb.Write(bytes.Repeat([]byte{0x80 | 62}, 10_000))           // 40 MB
	updates := bytes.Repeat([]byte{0x3f, 0xe1, 0x1f, 0x20}, 3000) // to 4,096 and to 0, again and again
	updates = append(updates, 0x82)
	for _, test := range []struct {
		name  string
		block []byte
		end   string
	}{
		{"a large field many times", bomb.Bytes(), calm},
		{"table sizes", updates, calm + "|GOAWAY COMPRESSION_ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSiege(t, floodLimits)
			r := s.attack(t, 4, time.Second, bound(4*1<<20), func(c *wire, until time.Time) (sent int) {
				until = until.Add(stamina)
				c.greet()
				c.SetWriteDeadline(until)
				var err error
				for id := uint32(1); time.Now().Before(until) && c.end() == "open"; id += 2 {
					if err = c.send(func(f *http2.Framer) {
						f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: test.block, EndStream: true, EndHeaders: true})
					}); err != nil {
						break
					}
					sent++
				}
				c.settle(err)
				return sent
			})
			r.want(t, 4, test.end, "closed")
			if s.begun.Load() > 0 {
				t.Error("a bomb reached the upstream")
			}
		})
	}
}

// A span is how long things lasted until the server ended them.
type span struct {
	mu    sync.Mutex
	times []time.Duration
}

func (p *span) note(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times = append(p.times, time.Since(began))
}

// want checks that n of them lasted about as long as a time limit of a siege.
func (p *span) want(t *testing.T, n int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.times) < n {
		t.Fatalf("the server ended %d, want %d", len(p.times), n)
	}
	t.Logf("ended after %v to %v", slices.Min(p.times), slices.Max(p.times))
	if least := siegeLimit * 2 / 3; slices.Min(p.times) < least {
		t.Errorf("ended after %v, before the time limit", slices.Min(p.times))
	}
	if most := patience / 2; slices.Max(p.times) > most { // others may be at work
		t.Errorf("ended after %v, long after the time limit", slices.Max(p.times))
	}
}

// allEnded waits until the streams up to a number have ended, or the connection has, and reports whether that took less than the
// patience.
func (c *wire) allEnded(last uint32) bool {
	ended := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended != nil {
			return true
		}
		for id := uint32(1); id <= last; id += 2 {
			if s := c.stream(id); !s.end && s.reset == nil {
				return false
			}
		}
		return true
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		if ended() {
			return true
		}
	}
	return false
}

// TestAbuseWindows: clients that ask for much on many streams and never let it be sent. Each stream may have 256 KiB of its answer
// waiting, all of a connection 1 MiB together.
func TestAbuseWindows(t *testing.T) {
	for name, window := range map[string]uint32{"zero": 0, "tiny": 1} {
		t.Run(name, func(t *testing.T) {
			const sides, streams = 6, 100
			s := newSiege(t, siegeLimits)
			var ended span
			// A request that waits has a goroutine, a connection to the upstream and a part of its answer in hand.
			r := s.attack(t, sides, time.Second, bound(sides*(1<<20+streams*48<<10)), func(c *wire, _ time.Time) int {
				c.miser = true
				began := time.Now()
				c.send(func(f *http2.Framer) {
					f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
					for id := uint32(1); id < 2*streams; id += 2 {
						c.writeRequest(f, id, true, requestFor("/big")...)
					}
				})
				go c.read()
				if c.allEnded(2*streams - 1) {
					ended.note(began)
				}
				for id := uint32(1); id < 2*streams; id += 2 {
					if got := len(c.streams[id].body); got > int(window) {
						t.Errorf("%d bytes were sent through a window of %d", got, window)
					}
				}
				return streams
			})
			if r.sent() < sides*streams || s.begun.Load() < sides*streams/2 {
				t.Errorf("%d requests sent, %d at the upstream", r.sent(), s.begun.Load())
			}
			ended.want(t, sides)
		})
	}
}

// TestAbuseSlowReader: clients that ask for much, let it be sent, and do not read it.
func TestAbuseSlowReader(t *testing.T) {
	const sides, streams = 12, 20
	s := newSiege(t, siegeLimits)
	var ended span
	r := s.attack(t, sides, time.Second, bound(sides*(1<<20+streams*48<<10)), func(c *wire, _ time.Time) int {
		began := time.Now()
		c.send(func(f *http2.Framer) {
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			f.WriteWindowUpdate(0, 1<<30)
			for id := uint32(1); id < 2*streams; id += 2 {
				c.writeRequest(f, id, true, requestFor("/big")...)
			}
		})
		// Who does not read learns only by writing that the connection is gone.
		for c.send(func(f *http2.Framer) { f.WriteWindowUpdate(0, 1) }) == nil && time.Since(began) < patience {
			time.Sleep(100 * time.Millisecond)
		}
		ended.note(began)
		return streams
	})
	if r.sent() < sides*streams || s.begun.Load() < sides*streams/2 {
		t.Errorf("%d requests sent, %d at the upstream", r.sent(), s.begun.Load())
	}
	ended.want(t, sides)
}

// TestAbuseSlowSender: content that stops coming ends by timeouts.body. Content that comes a byte at a time moves, and may go on.
func TestAbuseSlowSender(t *testing.T) {
	for _, drips := range []bool{false, true} {
		t.Run(fmt.Sprintf("drips %v", drips), func(t *testing.T) {
			const sides, streams = 4, 20
			s := newSiege(t, siegeLimits)
			var ended span
			r := s.attack(t, sides, 2*time.Second, bound(sides*streams*48<<10), func(c *wire, until time.Time) (sent int) {
				c.greet()
				began := time.Now()
				drop := func(f *http2.Framer) {
					for id := uint32(1); id < 2*streams; id += 2 {
						f.WriteData(id, false, []byte("x"))
						sent++
					}
				}
				c.send(func(f *http2.Framer) {
					for id := uint32(1); id < 2*streams; id += 2 {
						c.writeRequest(f, id, false, upload()...)
					}
					drop(f)
				})
				for drips && time.Now().Before(until) {
					time.Sleep(50 * time.Millisecond)
					c.send(drop)
				}
				if !drips && c.allEnded(2*streams-1) {
					ended.note(began)
					for id := uint32(1); id < 2*streams; id += 2 {
						if status := c.streams[id].status; status != 0 && status != 408 {
							t.Errorf("a request without its content was answered %d", status)
						}
					}
				}
				return sent
			})
			if least := sides * streams; r.sent() < least || s.most.Load() < int64(least) {
				t.Errorf("%d bytes sent, %d requests at the upstream", r.sent(), s.most.Load())
			}
			if !drips {
				ended.want(t, sides)
			}
		})
	}
}

// TestAbuseSlowHeader: header sections that come a byte at a time, on connections that are new and on those that have been of use.
func TestAbuseSlowHeader(t *testing.T) {
	for _, used := range []bool{false, true} {
		t.Run(fmt.Sprintf("used %v", used), func(t *testing.T) {
			const sides = 20
			s := newSiege(t, siegeLimits)
			var ended span
			r := s.attack(t, sides, time.Second, bound(sides*64<<10), func(c *wire, _ time.Time) (sent int) {
				c.greet()
				id := uint32(1)
				if used {
					c.request(id, true, requestFor("/up")...)
					c.allEnded(id)
					id = 3
				}
				began := time.Now()
				c.send(func(f *http2.Framer) {
					// A field whose value has 16,383 bytes, of which one comes now and then.
					c.beginRequest(f, id, append(c.compress(requestFor("/slow")...), "\x00\x01x\x7f\x80\x7f"...))
				})
				for c.send(func(f *http2.Framer) { f.WriteContinuation(id, false, []byte("y")) }) == nil && time.Since(began) < patience {
					sent++
					select {
					case <-c.over:
						ended.note(began)
						return sent
					case <-time.After(100 * time.Millisecond):
					}
				}
				ended.note(began)
				return sent
			})
			if r.sent() < sides*5 || s.begun.Load() > 0 {
				t.Errorf("%d bytes sent, %d requests at the upstream", r.sent(), s.begun.Load())
			}
			ended.want(t, sides)
		})
	}
}

// TestAbuseIdle: many connections that nobody uses. One is to cost 100 KiB at most, its handshake included.
func TestAbuseIdle(t *testing.T) {
	const sides = 200
	s := newSiege(t, siegeLimits)
	var ended span
	r := s.attack(t, sides, time.Second, bound(sides*100<<10), func(c *wire, _ time.Time) int {
		go c.read()
		began := time.Now()
		c.request(1, true, requestFor("/")...)
		c.allEnded(1)
		<-c.over
		ended.note(began)
		return 1
	})
	r.want(t, sides, "GOAWAY NO_ERROR", "closed")
	ended.want(t, sides)
}
