package authority

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the property tests; 0: a new one")

// random returns a source whose seed is printed where the test fails: -seed repeats it.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	n := *seedFlag
	if n == 0 {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: go test -run %s -seed %d", t.Name(), n)
	return rand.New(rand.NewPCG(n, 421))
}

// randomModel draws sites until they do not clash.
func randomModel(rng *rand.Rand) *model {
	o := randomOptions(rng)
	for {
		m := &model{options: o}
		for i := range 1 + rng.IntN(5) {
			m.sites = append(m.sites, randomSite(rng, fmt.Sprintf("s%d", i), o))
		}
		if !m.clash() {
			if rng.IntN(2) == 0 {
				m.options.DefaultSite = m.sites[rng.IntN(len(m.sites))].Name
			}
			return m
		}
	}
}

func (m *model) table(t *testing.T) *Table {
	t.Helper()
	table, err := NewTable(m.options, m.sites)
	if err != nil {
		t.Fatalf("%v\n%s", err, m.describe())
	}
	return table
}

func (m *model) describe() string {
	s := fmt.Sprintf("mode %v, not found %v, default %q, listeners %+v\n", m.options.Mode, m.options.UnknownNotFound, m.options.DefaultSite, m.options.Listeners)
	for _, x := range m.sites {
		s += fmt.Sprintf("site %s hosts %v listeners %v auth %v ca %x min %#x own %v plain %v certificate %v\n",
			x.Name, x.Patterns, x.Listeners, x.ClientAuth, x.ClientCAs[:2], x.MinVersion, x.OwnConnections, x.PlainHTTP, x.Certificates[0].All())
	}
	return s
}

func describeConn(c *Conn) string {
	return fmt.Sprintf("listener %q port %d secure %v trusted %v terminated %v sni %q site %q names %s version %#x auth %v ca %x verified %v",
		c.Listener, c.Port, c.Secure, c.Trusted, c.Terminated, c.SNI, c.Site, joined(c.Names), c.Version, c.ClientAuth, c.ClientCAs[:2], c.Verified)
}

func TestDecideAgreesWithTheDecisionTable(t *testing.T) {
	rng := random(t)
	reasons := map[Reason]int{}
	for range 3000 {
		m := randomModel(rng)
		table := m.table(t)
		for range 5 {
			c := randomConn(rng, m.options)
			for range 12 {
				r := randomRequest(rng, c)
				want, got := m.decide(c, r), answerOf(table.Decide(c, r))
				if got != want {
					t.Fatalf("%v %q hosts %q\n got %v\nwant %v\non %s\n%s", r.Scheme, r.Authority, r.Hosts, got, want, describeConn(c), m.describe())
				}
				if _, v := table.Explain(c, r); answerOf(v) != want {
					t.Fatalf("Explain says %v, Decide %v", answerOf(v), want)
				}
				reasons[got.reason]++
			}
			sni := pick(rng, append(worldHosts, "", "A.TEST.", "nobody.example"))
			got := ""
			if s := table.Choose(sni, c); s != nil {
				got = s.Name
			}
			if want := m.choose(sni, c); got != want {
				t.Fatalf("SNI %q: chose %q, want %q\non %s\n%s", sni, got, want, describeConn(c), m.describe())
			}
		}
	}
	for _, r := range Reasons() {
		if r != EarlyData && r != MethodNotSupported && r != NoFacts && reasons[r] < 20 {
			t.Errorf("reason %v came only %d times: the test draws badly", r, reasons[r])
		}
	}
}

// Property 3: new rules meet old facts. A connection that lives through many tables is judged by the newest, whatever it
// remembers of the others; and going back to an older table brings its answers back.
func TestOldConnectionsMeetNewTables(t *testing.T) {
	rng := random(t)
	changed := 0
	for range 300 {
		m := randomModel(rng)
		m.options.DefaultSite = ""
		tables := []*Table{m.table(t)}
		models := []*model{m}
		for len(tables) < 4 {
			last := models[len(models)-1]
			site := randomSite(rng, pick(rng, last.sites).Name, m.options)
			next := &model{options: m.options}
			for _, s := range last.sites {
				if s.Name != site.Name {
					next.sites = append(next.sites, s)
				}
			}
			next.sites = append(next.sites, site)
			if next.clash() {
				continue
			}
			table, err := tables[len(tables)-1].With([]Site{site})
			if err != nil {
				t.Fatal(err)
			}
			tables, models = append(tables, table), append(models, next)
		}
		c := randomConn(rng, m.options)
		requests := []Request{randomRequest(rng, c), randomRequest(rng, c), randomRequest(rng, c)}
		before := map[int]answer{}
		for range 40 {
			i, j := rng.IntN(len(tables)), rng.IntN(len(requests))
			got := answerOf(tables[i].Decide(c, requests[j]))
			if want := answerOf(models[i].table(t).Decide(fresh(c), requests[j])); got != want || got != models[i].decide(c, requests[j]) {
				t.Fatalf("table %d, %q: got %v, a fresh table and connection say %v", i, requests[j].Authority, got, want)
			}
			if old, ok := before[j]; ok && old != got {
				changed++
			}
			before[j] = got
		}
	}
	if changed < 100 {
		t.Errorf("only %d answers changed with the table: the test draws badly", changed)
	}
}

// Property 4: only refusals by questions 5 to 8 close, and only where the refused host is the SNI.
func TestCloseRule(t *testing.T) {
	rng := random(t)
	closed := 0
	for n := 0; n < 2000 || closed < 50 && n < 40_000; n++ {
		m := randomModel(rng)
		table, c := m.table(t), randomConn(rng, m.options)
		for range 10 {
			r := randomRequest(rng, c)
			v := table.Decide(c, r)
			a, _ := Parse(r.Authority)
			about := v.Reason == CertificateMismatch || v.Reason == ClientAuthMismatch || v.Reason == TLSVersionMismatch || v.Reason == CoalescingRefused
			if want := about && c.SNI != "" && a.Host() == c.SNI; v.Close != want {
				t.Fatalf("%q on SNI %q: %v, close %v", r.Authority, c.SNI, v.Reason, v.Close)
			}
			if s := v.Status(); about && s != 421 || s == 404 && (a.Host() != c.SNI || !c.covers(a)) || (s == 200) != v.Served() {
				t.Fatalf("%q: status %d for %v", r.Authority, s, v.Reason)
			}
			if v.Close {
				closed++
			}
		}
	}
	if closed < 50 {
		t.Errorf("only %d connections were closed: the test draws badly", closed)
	}
}

// Property 6: what is missing never serves.
func TestMissingFactsNeverServe(t *testing.T) {
	rng := random(t)
	for range 500 {
		m := randomModel(rng)
		r := randomRequest(rng, randomConn(rng, m.options))
		for _, table := range []*Table{m.table(t), {}, CertificateRule(m.options)} {
			v := table.Decide(nil, r)
			_, explained := table.Explain(nil, r)
			if v != explained || v.Served() || v.Status() != 500 || v.Reason != NoFacts || v.Kind() != Failed || v.Close {
				t.Fatalf("without facts: %+v", v)
			}
		}
	}
	var zero Verdict
	if zero.Served() || zero.Status() != 500 || zero.Kind() != Failed {
		t.Errorf("the zero Verdict is a permission: %+v", zero)
	}
	for _, r := range Reasons() {
		if v := Answer(r); v.Served() || v.Status() < 400 {
			t.Errorf("Answer(%v) serves: %d", r, v.Status())
		}
	}
	if v := (&Table{}).Decide(&Conn{Secure: true}, Request{Scheme: HTTPS, Authority: "a.test"}); v.Status() != 421 {
		t.Errorf("the zero Table serves a connection without certificate: %d", v.Status())
	}
}

// No mode, no trust and no order of requests serves a site whose client authentication this connection did not pass. The
// condition is written out once more here, apart from the model's.
func TestClientAuthenticationIsNeverDodged(t *testing.T) {
	rng := random(t)
	served := 0
	for n := 0; n < 3000 || served < 50 && n < 60_000; n++ {
		m := randomModel(rng)
		table, c := m.table(t), randomConn(rng, m.options)
		for range 15 {
			r := randomRequest(rng, c)
			v := table.Decide(c, r)
			if !v.Served() || v.Site == nil || v.Site.ClientAuth == None {
				continue
			}
			served++
			handed := c.Trusted && r.ClientCert != nil && r.ClientCert(v.Site)
			asked := !c.Trusted && c.Secure && c.ClientAuth != None && c.ClientCAs == v.Site.ClientCAs
			if !handed && !asked || asked && v.Site.ClientAuth == Require && !c.Verified {
				t.Fatalf("%v %q served by %s\non %s\n%s", r.Scheme, r.Authority, v.Site.Name, describeConn(c), m.describe())
			}
		}
	}
	if served < 50 {
		t.Errorf("only %d such requests were served: the test draws badly", served)
	}
}
