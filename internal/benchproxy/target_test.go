//go:build linux

package benchproxy

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// A target is what the gateway may need at most, as a multiple of the better of some rivals.
type target struct {
	work    string
	measure string // cpu, time (seconds for a request: one over requests/s), p99 or rss
	rivals  []string
	most    float64
}

// idleMost is how many KiB an idle HTTP/2 connection may need above one of a bare TLS server.
const idleMost = 20

// targets are those of the engine. Requests/s are to be at least in the same relation as processor time.
var targets = func() (all []target) {
	both := func(works string, most float64, rivals ...string) {
		for _, w := range strings.Fields(works) {
			for _, measure := range []string{"cpu", "time"} {
				all = append(all, target{w, measure, rivals, most})
			}
		}
	}
	both("get10 fields", 1.1, "nginx", "haproxy")
	both("get10 fields", 1.0/7, "caddy")
	both("get1 handshakes", 1.2, "nginx")
	both("fixed redirect 421", 1, "haproxy")
	both("fixed redirect 421", 1.0/10, "caddy")
	both("down64 up64", 1.1, "nginx")
	both("lone", 1.6, "nginx")
	all = append(all, target{"lone", "p99", []string{"nginx"}, 1.3})
	both("h1", 1.4, "nginx")
	for _, w := range works {
		all = append(all, target{w.name, "rss", []string{"caddy"}, 1})
	}
	return all
}()

// of returns what the target is about.
func (g target) of(m run) float64 {
	switch g.measure {
	case "cpu":
		return m.CPU
	case "time":
		return 1 / m.Rate
	case "p99":
		return m.P99
	case "rss":
		return float64(m.RSS)
	}
	return math.NaN()
}

func (g target) words() string {
	name := map[string]string{"cpu": "CPU a request", "time": "time a request (1 over requests/s)", "p99": "p99 latency", "rss": "RSS"}[g.measure]
	most := fmt.Sprintf("%.1f times", g.most)
	switch {
	case g.most < 1:
		most = fmt.Sprintf("1/%.0f of", 1/g.most)
	case g.most == 1:
		most = "that of"
	}
	return fmt.Sprintf("%s: at most %s %s", name, most, strings.Join(g.rivals, " and "))
}

// judge compares one contender's runs with the rivals', round by round. Of several rivals the better one counts: the one that
// the contender looks worst beside. ok is false where there is nothing to compare.
func (g target) judge(runs []run, contender string) (ratio spread, ok bool) {
	mine := g.byRound(runs, contender)
	for _, rival := range g.rivals {
		if r := ratios(mine, g.byRound(runs, rival)); !math.IsNaN(r.Median) && (!ok || r.Median > ratio.Median) {
			ratio, ok = r, true
		}
	}
	return ratio, ok
}

// byRound returns NaN for rounds without a number.
func (g target) byRound(runs []run, contender string) (values []float64) {
	for _, m := range runs {
		if m.Work != g.work || m.Contender != contender {
			continue
		}
		for len(values) <= m.Round {
			values = append(values, math.NaN())
		}
		values[m.Round] = g.of(m)
	}
	return values
}

func TestJudge(t *testing.T) {
	runs := []run{
		{Work: "get10", Contender: "usher", Round: 0, CPU: 20, Rate: 100}, {Work: "get10", Contender: "usher", Round: 2, CPU: 30, Rate: 50},
		{Work: "get10", Contender: "nginx", Round: 0, CPU: 25, Rate: 100}, {Work: "get10", Contender: "nginx", Round: 1, CPU: 1, Rate: 1},
		{Work: "get10", Contender: "nginx", Round: 2, CPU: 25, Rate: 100}, {Work: "fields", Contender: "nginx", Round: 2, CPU: 1, Rate: 1},
		{Work: "get10", Contender: "haproxy", Round: 0, CPU: 10, Rate: 25}, {Work: "get10", Contender: "haproxy", Round: 2, CPU: 20, Rate: 25},
	}
	for _, test := range []struct {
		measure string
		rivals  []string
		want    spread
		ok      bool
	}{
		{"cpu", []string{"nginx"}, spread{1, 0.8, 1.2}, true},
		{"cpu", []string{"nginx", "haproxy"}, spread{1.75, 1.5, 2}, true},
		{"cpu", []string{"haproxy", "nginx"}, spread{1.75, 1.5, 2}, true},
		{"time", []string{"nginx"}, spread{1.5, 1, 2}, true},
		{"cpu", []string{"caddy"}, spread{}, false},
		{"cpu", []string{"caddy", "nginx"}, spread{1, 0.8, 1.2}, true},
	} {
		got, ok := target{"get10", test.measure, test.rivals, 1}.judge(runs, "usher")
		near := math.Abs(got.Median-test.want.Median)+math.Abs(got.Low-test.want.Low)+math.Abs(got.High-test.want.High) < 1e-9
		if ok != test.ok || ok && !near {
			t.Errorf("%s of %v: %v, %v; want %v, %v", test.measure, test.rivals, got, ok, test.want, test.ok)
		}
	}
}

// Each work has a target, and each target a work.
func TestTargets(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range targets {
		seen[g.work] = seen[g.work] || g.measure == "cpu"
		if v := g.of(run{CPU: 1, Rate: 1, P99: 1, RSS: 1}); v != 1 {
			t.Errorf("%+v measures %v", g, v)
		}
	}
	for _, w := range works {
		if !seen[w.name] {
			t.Errorf("%s has no target", w.name)
		}
		delete(seen, w.name)
	}
	if len(seen) > 0 {
		t.Errorf("there are no works %v", seen)
	}
	for _, test := range []struct {
		g    target
		want string
	}{
		{target{"", "cpu", []string{"nginx", "haproxy"}, 1.1}, "CPU a request: at most 1.1 times nginx and haproxy"},
		{target{"", "p99", []string{"caddy"}, 1.0 / 7}, "p99 latency: at most 1/7 of caddy"},
		{target{"", "rss", []string{"caddy"}, 1}, "RSS: at most that of caddy"},
	} {
		if got := test.g.words(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
