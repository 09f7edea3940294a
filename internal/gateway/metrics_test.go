package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-http/usher"
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

// Whoever looks while a reload or a renewal puts certificates in place finds the old ones or the new ones: monitoring takes a series that is
// not there for a site that is gone.
func TestCertificatesDoNotVanish(t *testing.T) {
	m := newMetrics("")
	site := func(name string, end int64) usher.Site {
		return usher.Site{Name: name, Certificates: []tls.Certificate{{Leaf: &x509.Certificate{NotAfter: time.Unix(end, 0)}}}}
	}
	stays, goes := site("stays", 100), site("goes", 200)
	m.certificates([]usher.Site{stays, goes})
	var group sync.WaitGroup
	group.Go(func() {
		for range 20_000 {
			m.certificates([]usher.Site{stays, goes})
		}
	})
	for range 2_000 {
		shown := make(chan prometheus.Metric, 3)
		m.notAfter.Collect(shown)
		if len(shown) != 2 {
			t.Errorf("%d certificates are shown, want 2", len(shown))
			break
		}
	}
	group.Wait()
	m.certificates([]usher.Site{stays})
	r := &running{Gateway: &Gateway{metrics: m}}
	r.wantMetric(t, 100, "usher_certificate_not_after_seconds", "site=stays")
	if n := m.series(t, "usher_certificate_not_after_seconds"); n != 1 {
		t.Errorf("%d certificates are shown when a site is gone, want 1", n)
	}
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
