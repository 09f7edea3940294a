package originframe

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
)

func mustReceive(t testing.TB, s *Set, entries ...string) {
	t.Helper()
	var payload []byte
	for _, e := range entries {
		payload = append(payload, entry(e)...)
	}
	if _, _, err := s.Receive(payload); err != nil {
		t.Fatal(err)
	}
}

// RFC 8336 section 2.3: "By default, the Origin Set for a connection is uninitialized."
func TestZeroSet(t *testing.T) {
	var s Set
	o := mustOrigin(t, "https://a.example")
	if s.Initialized() || s.Contains(o) || s.Len() != 0 || len(s.All()) != 0 || s.Remove(o) || s.Initialized() {
		t.Error("the zero set is not empty and uninitialised")
	}
}

// "When an ORIGIN frame is first received and successfully processed by a client, the connection's Origin Set is
// defined to contain an initial origin."
func TestFirstFrameInitialises(t *testing.T) {
	s := Set{Initial: mustOrigin(t, "https://a.example:8443")}
	if added, ignored, err := s.Receive(nil); added != 1 || ignored != 0 || err != nil {
		t.Errorf("%d added, %d ignored, %v", added, ignored, err)
	}
	if !s.Initialized() || !slices.Equal(texts(s.All()), []string{"https://a.example:8443"}) {
		t.Errorf("%v", s.All())
	}
	// Only the same port and scheme are the same origin.
	for _, other := range mustOrigins(t, "https://a.example", "http://a.example:8443", "https://b.a.example:8443") {
		if s.Contains(other) {
			t.Errorf("%v is a member", other)
		}
	}
}

// "The contents of that ORIGIN frame (and subsequent ones) allow the server to incrementally add new origins to the
// Origin Set".
func TestFramesAddUp(t *testing.T) {
	s := Set{Initial: mustOrigin(t, "https://a.example")}
	mustReceive(t, &s, "https://c.example", "https://a.example", "https://c.example", "null")
	mustReceive(t, &s, "https://b.example")
	if got := strings.Join(texts(s.All()), " "); got != "https://a.example https://b.example https://c.example" {
		t.Error(got)
	}
	if added, ignored, err := s.Receive(slices.Concat(entry("https://b.example"), entry("x"))); added != 0 || ignored != 1 || err != nil {
		t.Errorf("%d added, %d ignored, %v", added, ignored, err)
	}
}

// "Upon receipt of a response with this status code, implementing clients MUST create the ASCII serialization of
// the corresponding request's origin [...] and remove it from the connection's Origin Set, if present."
func TestRemoveOn421(t *testing.T) {
	a, b := mustOrigin(t, "https://a.example"), mustOrigin(t, "https://b.example")
	s := Set{Initial: a}
	mustReceive(t, &s, "https://b.example")
	if !s.Remove(b) || s.Contains(b) || s.Remove(b) {
		t.Error("b is not removed, once")
	}
	mustReceive(t, &s) // a frame that does not list it
	if s.Contains(b) {
		t.Error("b came back without being listed")
	}
	if !s.Remove(a) {
		t.Error("the initial origin is not removed")
	}
	mustReceive(t, &s)
	if s.Contains(a) || !s.Initialized() {
		t.Error("an empty set must not begin anew with the initial origin")
	}
	mustReceive(t, &s, "https://b.example")
	if !s.Contains(b) {
		t.Error("a later frame may list b again")
	}
}

func TestAddIsAllOrNothing(t *testing.T) {
	s := Set{Initial: mustOrigin(t, "https://a.example")}
	if _, err := s.Add(mustOrigin(t, "https://b.example"), authority.Origin{}); err == nil || s.Initialized() {
		t.Errorf("an invalid origin: %v, %v", err, s.All())
	}
	s.Limits.Origins = 2
	if _, err := s.Add(mustOrigins(t, "https://b.example", "https://c.example")...); kind(err) != "limit" || s.Initialized() {
		t.Errorf("past the limit: %v, %v", err, s.All())
	}
	if n, err := s.Add(mustOrigins(t, "https://b.example", "https://b.example", "https://a.example")...); n != 2 || err != nil {
		t.Errorf("within it: %d, %v", n, err)
	}
}

// RFC 8336 section 4: "The Origin Set's size is unbounded by this specification and thus could be used by attackers
// to exhaust client resources."
func TestMemoryIsBounded(t *testing.T) {
	junk := entry(strings.Repeat("x", MaxPayload-100))
	payload := func(i int) []byte {
		return slices.Concat(entry(fmt.Sprintf("https://host-%06d.example", i)), junk)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var s Set
	before, refused := heap(), 0
	for i := range 5000 {
		if _, _, err := s.Receive(payload(i)); kind(err) == "limit" {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	after := heap()
	if s.Len() != DefaultMaxOrigins || refused != 5000-DefaultMaxOrigins {
		t.Errorf("%d members, %d frames refused", s.Len(), refused)
	}
	// The members keep their own bytes, not the 16 KiB frames they came in, which would make 16 MiB.
	if after > before+1<<20 {
		t.Errorf("%d KiB for %d origins", (after-before)>>10, s.Len())
	}
	runtime.KeepAlive(&s)
}

// model is the Origin Set as plainly as section 2.3 tells it.
type model struct {
	initial        string
	limit          int
	initialised    bool
	initialRefused bool
	members        map[string]bool
}

func (m *model) receive(origins []string) bool {
	next := maps.Clone(m.members)
	if !m.initialised && !m.initialRefused {
		next[m.initial] = true
	}
	for _, o := range origins {
		next[o] = true
	}
	if len(next) > m.limit {
		return false
	}
	m.members, m.initialised = next, true
	return true
}

func (m *model) remove(o string) {
	delete(m.members, o)
	m.initialRefused = m.initialRefused || !m.initialised && o == m.initial
}

// play lets a set and the model go through the same steps, two bytes each, and compares them after every step.
func play(t *testing.T, limit int, steps []byte) {
	names := []string{"https://a.example", "https://b.example", "http://a.example", "https://a.example:8443", "https://192.0.2.1", "https://[::1]"}
	m := model{initial: names[0], limit: limit, members: map[string]bool{}}
	s := Set{Initial: mustOrigin(t, names[0]), Limits: Limits{Origins: limit}}
	refused := map[string]bool{} // answered 421 and not listed since
	for len(steps) >= 2 {
		op, arg := steps[0], int(steps[1])
		steps = steps[2:]
		switch op % 4 {
		case 0:
			o := names[arg%len(names)]
			m.remove(o)
			s.Remove(mustOrigin(t, o))
			refused[o] = true
		case 1: // a truncated frame changes nothing
			if _, _, err := s.Receive(append(entry(names[arg%len(names)]), 0)); kind(err) != "truncated" {
				t.Fatalf("truncated: %v", err)
			}
		default: // a frame with the names whose bits are set in arg
			var listed []string
			payload := entry("null")
			for i, name := range names {
				if arg>>i&1 == 1 {
					listed = append(listed, name)
					payload = append(payload, entry(name)...)
				}
			}
			// More than the limit in one frame is refused even where all are members already.
			taken := len(listed) <= limit && m.receive(listed)
			_, _, err := s.Receive(payload)
			if taken != (err == nil) || err != nil && kind(err) != "limit" {
				t.Fatalf("%q: %v, but the model takes it: %v", listed, err, taken)
			}
			if taken {
				for _, o := range listed {
					delete(refused, o)
				}
			}
		}
		want := slices.Sorted(maps.Keys(m.members))
		if got := texts(s.All()); s.Initialized() != m.initialised || !slices.Equal(got, want) {
			t.Fatalf("initialised %v with %q, want %v with %q", s.Initialized(), got, m.initialised, want)
		}
		if s.Len() > limit {
			t.Fatalf("%d members, limit %d", s.Len(), limit)
		}
		for o := range refused {
			if s.Contains(mustOrigin(t, o)) {
				t.Fatalf("%s was answered 421, no frame listed it since, and it is a member", o)
			}
		}
	}
}

func TestRefusedStaysOutUntilListed(t *testing.T) {
	r := rand.New(rand.NewPCG(8336, 9412))
	for range 2000 {
		steps := make([]byte, 2*r.IntN(20))
		for i := range steps {
			steps[i] = byte(r.Uint32())
		}
		play(t, 1+r.IntN(8), steps)
	}
}

func FuzzSet(f *testing.F) {
	f.Add(uint8(8), []byte{2, 3, 0, 1, 2, 2, 1, 0})
	f.Add(uint8(2), []byte{0, 0, 2, 2, 2, 63, 2, 1})
	f.Fuzz(func(t *testing.T, limit uint8, steps []byte) {
		play(t, 1+int(limit%8), steps[:min(len(steps), 200)])
	})
}
