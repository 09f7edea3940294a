package gateway

import (
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/authority"
)

// series returns how many series the metric shows.
func (m *metrics) series(t *testing.T, name string) int {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return len(f.GetMetric())
		}
	}
	return 0
}

func TestSeriesShowWhenTheyAreUsed(t *testing.T) {
	m := newMetrics("")
	r := &running{Gateway: &Gateway{metrics: m}}
	names := []string{"usher_verdicts_total", "usher_would_refuse_total", "usher_requests_total", "usher_request_duration_seconds"}
	for _, name := range names {
		if n := m.series(t, name); n != 0 {
			t.Errorf("%s: %d series before the first request", name, n)
		}
	}
	for _, reason := range authority.Reasons() {
		for _, proto := range protocols {
			m.verdict(authority.Verdict{Reason: reason}, nil, proto)
			m.verdict(authority.Verdict{Reason: reason}, nil, proto)
		}
	}
	m.verdict(authority.Verdict{}, nil, "h1")
	// Whatever an upstream says, and what no protocol of ours is, counts all the same.
	statuses := []string{"0", "-1", "100", "200", "421", "499", "599", "600", "999"}
	for i, status := range []int{0, -1, 100, 200, 421, 499, 599, 600, 999} {
		for _, proto := range []string{"h1", "h2", "h3", "other"} {
			for range i + 1 {
				m.request(status, proto, 3*time.Millisecond)
			}
		}
	}
	for i, status := range statuses {
		for _, proto := range []string{"h1", "h2", "h3", "other"} {
			r.wantMetric(t, float64(i+1), "usher_requests_total", "status="+status, "proto="+proto)
			r.wantMetric(t, 45, "usher_request_duration_seconds", "proto="+proto)
		}
	}
	for _, reason := range authority.Reasons() {
		for _, proto := range protocols {
			want := 2.0
			if reason == authority.OK && proto == "h1" {
				want = 3
			}
			r.wantMetric(t, want, "usher_verdicts_total", "reason="+reason.String(), "proto="+proto)
		}
	}
	for i, want := range []int{3 * len(authority.Reasons()), 0, 4 * len(statuses), 4} {
		if n := m.series(t, names[i]); n != want {
			t.Errorf("%s: %d series, want %d", names[i], n, want)
		}
	}
}

func TestSeriesConcurrently(t *testing.T) {
	m := newMetrics("")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for status := range 600 {
				m.request(status, "h2", time.Millisecond)
			}
		})
	}
	group.Wait()
	r := &running{Gateway: &Gateway{metrics: m}}
	r.wantMetric(t, 8, "usher_requests_total", "status=200", "proto=h2")
	r.wantMetric(t, 8*600, "usher_request_duration_seconds", "proto=h2")
}

func TestMetricsAllocateNothing(t *testing.T) {
	m := newMetrics("")
	v := authority.Answer(authority.NoFacts)
	if n := testing.AllocsPerRun(100, func() {
		m.verdict(v, nil, "h2")
		m.request(500, "h2", time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkMetrics(b *testing.B) {
	m := newMetrics("")
	v := authority.Answer(authority.NoFacts)
	b.ReportAllocs()
	for b.Loop() {
		m.verdict(v, nil, "h2")
		m.request(500, "h2", time.Millisecond)
	}
}
