package benchguard

import (
	"flag"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

var origins = flag.Bool("bench-origin", false, "measure what ORIGIN frames cost (it takes about a minute)")

// TestBenchOrigin prints the median of the ratios of at least 10 alternating pairs of h2load runs with and without ORIGIN
// frames: on a few connections with many requests, and on many connections with one request each, where a frame weighs most.
func TestBenchOrigin(t *testing.T) {
	if !*origins {
		t.Skip("this is a measurement: run it with make bench-origin")
	}
	if *pairs < 10 {
		t.Fatalf("-bench-guard-pairs=%d: at least 10", *pairs)
	}
	for _, args := range [][]string{{"-n", "32000", "-c", "32", "-m", "10"}, {"-n", "1000", "-c", "1000", "-m", "1"}} {
		fresh := func(kind string) func() run {
			return func() run {
				s := startServer(t, kind)
				defer s.stop()
				h2load(t, s, []string{"-n", "5000", "-c", "10", "-m", "10"}) // warm up
				return h2load(t, s, args)
			}
		}
		a, b := alternate(*pairs, fresh("silent"), fresh("guard"))
		fmt.Printf("h2load %v, %d alternating pairs, without and with ORIGIN frames\n", args, *pairs)
		report(a, b)
	}
}

var (
	rateOf = regexp.MustCompile(`finished in [^,]*, ([0-9.]+) req/s`)
	doneOf = regexp.MustCompile(`requests: (\d+) total, .* (\d+) succeeded`)
)

func h2load(t *testing.T, s *server, args []string) run {
	t.Helper()
	tool := testenv.Tool(t, "h2load")
	cpu := s.cpu(t)
	out, err := exec.Command(tool, append(args, "--connect-to="+s.addr, "https://a.test/")...).Output()
	if err != nil {
		t.Fatalf("h2load: %v\n%s", err, out)
	}
	rate, done := rateOf.FindSubmatch(out), doneOf.FindSubmatch(out)
	if rate == nil || done == nil || string(done[1]) != string(done[2]) {
		t.Fatalf("h2load did not get all answers:\n%s", out)
	}
	perSecond, _ := strconv.ParseFloat(string(rate[1]), 64)
	n, _ := strconv.ParseFloat(string(done[1]), 64)
	return run{perSecond, float64((s.cpu(t) - cpu).Microseconds()) / n}
}

// The measurement works, with few requests: one that is never run breaks unseen.
func TestH2load(t *testing.T) {
	for _, kind := range []string{"silent", "guard"} {
		if r := h2load(t, startServer(t, kind), []string{"-n", "20", "-c", "2", "-m", "2"}); r.rate <= 0 {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}
