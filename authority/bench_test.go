package authority

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A million exact hosts and ten thousand wildcards, spread over a thousand sites.
const (
	benchSites     = 1000
	benchExact     = 1_000_000
	benchWildcards = 10_000
)

func benchHost(i int) string { return fmt.Sprintf("host-%d.customer-%d.example", i, i%997) }
func benchWild(i int) string { return fmt.Sprintf("*.wild-%d.example", i) }

func benchSiteList(b *testing.B) []Site {
	b.Helper()
	sites := make([]Site, benchSites)
	for i := range sites {
		sites[i].Name = fmt.Sprintf("site-%d", i)
	}
	add := func(i int, host string) {
		p, err := ParsePattern(host)
		if err != nil {
			b.Fatal(err)
		}
		s := &sites[i%benchSites]
		s.Patterns = append(s.Patterns, p)
	}
	for i := range benchExact {
		add(i, benchHost(i))
	}
	for i := range benchWildcards {
		add(i, benchWild(i))
	}
	return sites
}

func benchTable(b *testing.B) *Table {
	b.Helper()
	t, err := NewTable(Options{}, benchSiteList(b))
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// A plainMap does the job of Lookup with Go's own map.
type plainMap struct {
	hosts map[string]*Site
	sites []Site
}

func newPlainMap(sites []Site) *plainMap {
	m := &plainMap{hosts: make(map[string]*Site, benchExact+benchWildcards), sites: make([]Site, len(sites))}
	for i := range sites {
		m.sites[i] = sites[i]
		m.sites[i].Patterns = nil
		for _, p := range sites[i].Patterns {
			// The key is cut out of nothing larger, as a careful program would have it.
			m.hosts[strings.Clone(p.key())] = &m.sites[i]
		}
	}
	return m
}

func (m *plainMap) lookup(host string) *Site {
	if s, ok := m.hosts[host]; ok {
		return s
	}
	if i := strings.IndexByte(host, '.'); i >= 0 {
		return m.hosts[host[i:]]
	}
	return nil
}

// benchQueries are random hosts of one kind, parsed.
func benchQueries(kind string) []Authority {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]Authority, 1<<16)
	for i := range list {
		switch kind {
		case "exact":
			list[i] = MustParse(benchHost(rng.IntN(benchExact)))
		case "wildcard":
			list[i] = MustParse(fmt.Sprintf("a%d%s", rng.IntN(1000), benchWild(rng.IntN(benchWildcards))[1:]))
		case "miss":
			list[i] = MustParse(fmt.Sprintf("nobody-%d.customer-%d.test", rng.IntN(benchExact), i))
		}
	}
	return list
}

// BenchmarkLookup compares a lookup with Go's map. Both take turns in slices of the same length, because the machine
// is not quiet: x-map is the median of the ratios, at most 1.3 is wanted.
func BenchmarkLookup(b *testing.B) {
	sites := benchSiteList(b)
	m := newPlainMap(sites)
	t, err := NewTable(Options{}, sites)
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{"exact", "wildcard", "miss"} {
		queries := benchQueries(kind)
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			var ours, theirs, ratios []float64
			const slice = 1 << 12
			next := 0
			// Each part is used once in a round, so that neither finds what the other has brought into the caches.
			part := func(n int) []Authority {
				next += slice
				return queries[(next-slice)%len(queries):][:n]
			}
			table := func(n int) {
				p := part(n)
				at := time.Now()
				for i := range p {
					sink = t.Lookup(p[i])
				}
				ours = append(ours, float64(time.Since(at))/float64(n))
			}
			plain := func(n int) {
				p := part(n)
				at := time.Now()
				for i := range p {
					sink = m.lookup(p[i].host)
				}
				theirs = append(theirs, float64(time.Since(at))/float64(n))
			}
			for done, turn := 0, 0; done < b.N; done, turn = done+slice, turn+1 {
				n := min(slice, b.N-done)
				if turn%2 == 0 {
					table(n)
					plain(n)
				} else {
					plain(n)
					table(n)
				}
				ratios = append(ratios, ours[turn]/theirs[turn])
			}
			b.ReportMetric(median(ours), "table-ns")
			b.ReportMetric(median(theirs), "map-ns")
			b.ReportMetric(median(ratios), "x-map")
		})
	}
	if sink != nil && sink.Name == "" {
		b.Fatal("a site without a name")
	}
}

var sink *Site

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkMemory reports what a table retains, everything included, and what the map does.
func BenchmarkMemory(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	for b.Loop() {
		sites := benchSiteList(b)
		before := heap()
		t, err := NewTable(Options{}, sites)
		if err != nil {
			b.Fatal(err)
		}
		table := heap() - before
		before = heap()
		m := newPlainMap(sites)
		plain := heap() - before
		runtime.KeepAlive(t)
		runtime.KeepAlive(m)
		runtime.KeepAlive(sites)
		b.ReportMetric(table/(benchExact+benchWildcards), "bytes/host")
		b.ReportMetric(plain/(benchExact+benchWildcards), "map-bytes/host")
	}
}

func BenchmarkDecide(b *testing.B) {
	t := benchTable(b)
	names := NewNames([]string{"*.customer-1.example", "*.customer-2.example"}, nil)
	conn := func() *Conn {
		return &Conn{Port: 443, Secure: true, SNI: "host-1.customer-1.example", Site: "site-1", Names: []*Names{names}, Version: 0x0304}
	}
	b.Run("memo", func(b *testing.B) {
		c, r := conn(), Request{Scheme: HTTPS, Authority: "host-1.customer-1.example"}
		if v := t.Decide(c, r); !v.Served() {
			b.Fatal(v)
		}
		b.ReportAllocs()
		for b.Loop() {
			if !t.Decide(c, r).Served() {
				b.Fatal("refused")
			}
		}
	})
	b.Run("memo-fourth", func(b *testing.B) {
		c := conn()
		hosts := []string{"host-1.customer-1.example", "host-2.customer-2.example", "host-998.customer-1.example", "host-999.customer-2.example"}
		for _, h := range hosts {
			t.Decide(c, Request{Scheme: HTTPS, Authority: h})
		}
		r := Request{Scheme: HTTPS, Authority: hosts[3]}
		b.ReportAllocs()
		for b.Loop() {
			if !t.Decide(c, r).Served() {
				b.Fatal("refused")
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		c, r := conn(), Request{Scheme: HTTPS, Authority: "host-1.customer-1.example"}
		b.ReportAllocs()
		for b.Loop() {
			if v := t.decide(c, r, nil); !v.Served() {
				b.Fatal(v)
			}
		}
	})
	b.Run("uncached-random", func(b *testing.B) {
		c, queries := conn(), benchQueries("exact")
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r := Request{Scheme: HTTPS, Authority: queries[i%len(queries)].host}
			if v := t.decide(c, r, nil); v.Reason == UnknownOrigin {
				b.Fatal(v)
			}
		}
	})
}

// BenchmarkWith changes one site of a table of a million hosts.
func BenchmarkWith(b *testing.B) {
	sites := benchSiteList(b)
	t, err := NewTable(Options{}, sites)
	if err != nil {
		b.Fatal(err)
	}
	small := Site{Name: "new", Patterns: []Pattern{MustParsePattern("new.example")}}
	for _, c := range []struct {
		name string
		site Site
	}{{"one-host", small}, {"thousand-hosts", sites[7]}} {
		b.Run(c.name, func(b *testing.B) {
			start := time.Now()
			for b.Loop() {
				if _, err := t.With([]Site{c.site}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/1000/float64(b.N), "ms/change")
		})
	}
}
