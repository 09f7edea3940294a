package authority

import (
	"math/rand/v2"
	"testing"
)

// FuzzDecide asks random tables for whatever the fuzzer thinks of as authority and Host, and compares with the model. What
// must never be served is checked apart from both.
func FuzzDecide(f *testing.F) {
	f.Add(uint64(1), uint8(2), "a.test", "")
	f.Add(uint64(2), uint8(1), "A.TEST.:443", "a.test")
	f.Add(uint64(3), uint8(2), "[2001:db8::1]", "[2001:DB8::1]:443")
	f.Add(uint64(4), uint8(0), "x.a.test:8443", "x.a.test")
	f.Add(uint64(5), uint8(2), "a.test, b.test", "")
	f.Fuzz(func(t *testing.T, seed uint64, scheme uint8, at, host string) {
		rng := rand.New(rand.NewPCG(seed, 9110))
		m := randomModel(rng)
		table, c := m.table(t), randomConn(rng, m.options)
		r := Request{Scheme: Scheme(scheme % 3), Authority: at}
		if host != "" {
			r.Hosts = []string{host}
		}
		v := table.Decide(c, r)
		if got, want := answerOf(v), m.decide(c, r); got != want {
			t.Fatalf("%v %q hosts %q\n got %v\nwant %v\non %s\n%s", r.Scheme, r.Authority, r.Hosts, got, want, describeConn(c), m.describe())
		}
		if again := table.Decide(c, r); again != v {
			t.Fatalf("the second answer is %+v, the first was %+v", again, v)
		}
		if _, explained := table.Explain(fresh(c), r); explained != v {
			t.Fatalf("Explain says %+v, Decide %+v", explained, v)
		}
		a, err := Parse(at)
		if v.Served() && (err != nil || v.Site == nil || v.Site.ClientAuth != None && !proved(v.Site, c, r)) {
			t.Fatalf("%q is served by %v", at, v.Site)
		}
		strict := m.options.Mode == Enforce && !c.Trusted && !c.Terminated
		if v.Served() && strict && (v.Waived != OK || c.Secure && !c.covers(a) || c.Secure != (r.Scheme == HTTPS)) {
			t.Fatalf("%v %q is served without a certificate for it: %+v", r.Scheme, at, v)
		}
	})
}
