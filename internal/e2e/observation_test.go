package e2e

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
)

const (
	verdictsMetric  = "usher_verdicts_total"
	malformedMetric = "usher_malformed_requests_total"
)

// text fills in the ports of the listeners.
func (s *server) text(t testing.TB, template string) string {
	t.Helper()
	return strings.NewReplacer("PORT", s.port(t, "public"), "FAR", s.port(t, "far")).Replace(template)
}

// observe has a client ask one thing, and says what came of it, seen from three sides that must agree: the answer, the
// access log and the metric. In words: `421 certificate_mismatch` where the guard answered, `refused by the layer
// below: ...` where the request did not reach it. No other request may be on its way.
func (s *server) observe(t testing.TB, proto string, ask func() reply) string {
	t.Helper()
	before, mark := s.metrics(t, verdictsMetric), s.stdout.mark()
	malformed := s.metrics(t, malformedMetric)
	r := ask()
	counted := increments(t, before, s.metrics(t, verdictsMetric))
	if len(counted) == 0 {
		s.checkMalformed(t, proto, r, increments(t, malformed, s.metrics(t, malformedMetric)), mark)
		if r.below != "" {
			return below(r.below)
		}
		return below(strconv.Itoa(r.status))
	}
	e := s.stdout.awaitEntry(t, mark, "the request", func(entry) bool { return true })
	if want := fmt.Sprintf("%s{proto=%q,reason=%q}", verdictsMetric, proto, e.Reason); len(counted) != 1 || counted[want] != 1 {
		t.Errorf("metrics counted %v, want one %s", counted, want)
	}
	if e.Status != r.status || e.Protocol != proto {
		t.Errorf("the log has %d over %s, the client %d %s over %s", e.Status, e.Protocol, r.status, r.below, proto)
	}
	s.checkRefusal(t, r)
	return answered(r.status, e.Reason)
}

// checkMalformed looks for a request that the guard was not asked about in the access log and in a metric of its own. (Such requests were
// in neither: who looked for the 400s that a client complained of found nothing.) Only quic-go tells nobody what it refuses.
func (s *server) checkMalformed(t testing.TB, proto string, r reply, counted map[string]int, mark int) {
	t.Helper()
	if proto == "h3" {
		if len(counted) > 0 {
			t.Errorf("metrics counted %v: docs/verdicts.md says that they do not", counted)
		}
		return
	}
	status := r.status
	if r.below != "" {
		status = 0
	}
	e := s.stdout.awaitEntry(t, mark, "the request", func(entry) bool { return true })
	if e.Status != status || e.Protocol != proto || e.Verdict != "malformed" || e.Reason != "malformed_request" || e.Error == "" {
		t.Errorf("the log has %+v, the client %d %s over %s", e, r.status, r.below, proto)
	}
	if want := fmt.Sprintf("%s{proto=%q,status=%q}", malformedMetric, proto, strconv.Itoa(status)); len(counted) != 1 || counted[want] != 1 {
		t.Errorf("metrics counted %v, want one %s", counted, want)
	}
}

// The two forms of an observation, the same in the tests and in docs/verdicts.md.
func answered(status int, reason string) string { return fmt.Sprintf("%d `%s`", status, reason) }
func below(what string) string                  { return "refused by the layer below: " + what }

// increments returns by how much counters grew.
func increments(t testing.TB, before, after map[string]string) map[string]int {
	t.Helper()
	grown := map[string]int{}
	for name := range maps.Keys(after) {
		was, _ := strconv.ParseFloat(before[name], 64)
		is, err := strconv.ParseFloat(after[name], 64)
		if err != nil {
			t.Fatal(err)
		}
		if is != was {
			grown[name] = int(is - was)
		}
	}
	return grown
}

// checkRefusal: "A 421 is an answer about a connection" (docs/design.md): no-store, no Alt-Svc, no version.
func (s *server) checkRefusal(t testing.TB, r reply) {
	t.Helper()
	if r.status != 421 {
		return
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Alt-Svc": "", "Server": "", "Etag": "", "Location": ""} {
		if got := r.header.Get(name); got != want {
			t.Errorf("421 with %s: %q, want %q", name, got, want)
		}
	}
}
