package h2

import (
	"testing"

	"github.com/usher-http/usher/internal/message"
)

// waiting begins streams with so much content each, all of which waits in buffers.
func waiting(t *testing.T, c *Config, fields [][]string, sizes []int) *peer {
	p := connected(t, c)
	p.settings(initialWindow(0))
	p.windowUpdate(0, maxWindow-defaultWindow)
	p.onRequest = begin
	for i, size := range sizes {
		id := uint32(2*i + 1)
		p.headers(id, true, get(fields[i%len(fields)]...)...)
		p.flush()
		st := p.streams[id]
		if n := st.Write(make([]byte, size)); n != size {
			t.Fatalf("Write took %d", n)
		}
		st.Close(nil)
	}
	p.settings(initialWindow(1 << 24))
	p.feed()
	p.frames = nil
	return p
}

// turn has the session put out one buffer, and returns how much content each stream had in it.
func (p *peer) turn() map[uint32]int {
	before := map[uint32]int{}
	for id, b := range p.bodies {
		before[id] = b.Len()
	}
	p.wire.Write(p.s.Output(nil))
	p.read()
	sent := map[uint32]int{}
	for id, b := range p.bodies {
		if n := b.Len() - before[id]; n > 0 {
			sent[id] = n
		}
	}
	return sent
}

func TestSmallAnswersGoFirst(t *testing.T) {
	p := waiting(t, nil, [][]string{{}}, []int{200 << 10, 200 << 10, 500, 500})
	got := p.turn()
	if got[5] != 500 || got[7] != 500 || got[1] == 0 || got[3] == 0 {
		t.Errorf("the first output has %v", got)
	}
	if p.frames[0] != "SETTINGS ack" || p.frames[1] != "DATA 5 500 END" || p.frames[2] != "DATA 7 500 END" {
		t.Errorf("the order is %q", p.frames)
	}
	p.drain()
	if p.s.Streams() != 0 || p.s.schedule.held != 0 {
		t.Errorf("%d streams are open, %d bytes are held", p.s.Streams(), p.s.schedule.held)
	}
}

// However many small answers there are, a large one gets on.
func TestSmallAnswersDoNotStarveLargeOnes(t *testing.T) {
	sizes := []int{250 << 10}
	for range 100 {
		sizes = append(sizes, 7000)
	}
	p := waiting(t, &Config{ConnSendBuffer: 4 << 20}, [][]string{{}}, sizes)
	for i := range 5 {
		if got := p.turn(); got[1] == 0 {
			t.Fatalf("output %d has nothing of the large answer: %v", i, got)
		}
	}
}

// "Urgency ... Servers SHOULD transmit responses in the order of their urgency values if possible." (RFC 9218 section 10). Here each step gives twice
// as much, and the least urgent gets on all the same.
func TestUrgency(t *testing.T) {
	p := waiting(t, &Config{MaxOutput: 100 << 10}, [][]string{{"priority", "u=5"}, {"priority", "u=3, i"}, {}, {"priority", "u=2"}},
		[]int{240 << 10, 240 << 10, 240 << 10, 240 << 10})
	total := map[uint32]int{}
	for range 3 {
		for id, n := range p.turn() {
			total[id] += n
		}
	}
	if total[1] == 0 || total[3] < 3*total[1] || total[7] < 3*total[3]/2 || total[3]-total[5] > maxFrame || total[5]-total[3] > maxFrame {
		t.Errorf("content by urgency 5, 3, none, 2: %v", total)
	}
}

func TestPriorityUpdate(t *testing.T) {
	update := func(p *peer, id uint32, value string) {
		p.w.WriteRawFrame(framePriorityUpdate, 0, 0, append([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, value...))
	}
	p := connected(t, nil)
	p.onRequest = begin
	update(p, 3, "u=1")
	update(p, 3, "u=6")
	p.flush()
	if len(p.s.early) != 1 {
		t.Errorf("%d early priorities for one stream", len(p.s.early))
	}
	p.headers(1, true, get("priority", "u=2")...)
	p.headers(3, true, get("priority", "u=2")...)
	p.headers(5, true, get("priority", "u=9")...)
	p.flush()
	if a, b, c := p.streams[1].urgency, p.streams[3].urgency, p.streams[5].urgency; a != 2 || b != 6 || c != defaultUrgency {
		t.Errorf("urgencies %d, %d and %d", a, b, c)
	}
	update(p, 1, "u=0, i")
	update(p, 5, `x="a,b", u=7;q=1`)
	p.flush()
	if a, c := p.streams[1].urgency, p.streams[5].urgency; a != 0 || c != 7 {
		t.Errorf("urgencies %d and %d", a, c)
	}
	for id := uint32(101); id < 300; id += 2 {
		update(p, id, "u=1")
	}
	p.flush()
	if len(p.s.early) != maxEarly {
		t.Errorf("%d early priorities are kept", len(p.s.early))
	}
}

// An output ends with the frame that reaches MaxOutput, whoever has content.
func TestMaxOutput(t *testing.T) {
	p := waiting(t, &Config{MaxOutput: 20000, SendBuffer: 1 << 20}, [][]string{{"priority", "u=0"}, {}}, []int{300 << 10, 300 << 10})
	for p.s.Pending() {
		out := p.s.Output(nil)
		if len(out) > 20000+maxFrame+headLen {
			t.Fatalf("%d bytes at once", len(out))
		}
	}
	// And so it is where content goes straight into it.
	q := connected(t, &Config{MaxOutput: 20000})
	q.settings(initialWindow(maxWindow))
	q.windowUpdate(0, maxWindow-defaultWindow)
	q.onRequest = func(st *Stream, r *message.Request) { begin(st, r); st.Write(make([]byte, 200<<10)) }
	q.headers(1, true, get()...)
	q.feed()
	if out := q.s.Output(nil); len(out) < 20000 || len(out) > 20000+maxFrame+100 {
		t.Errorf("%d bytes at once", len(out))
	}
}

// A header section passes all content that waits.
func TestHeadersGoFirst(t *testing.T) {
	p := waiting(t, nil, [][]string{{}}, []int{200 << 10})
	p.headers(3, true, get()...)
	p.feed()
	p.turn()
	if p.frames[0] != "SETTINGS ack" || p.frames[1] != "HEADERS 3 :status=200" {
		t.Errorf("the order is %q", p.frames)
	}
}
