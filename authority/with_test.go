package authority

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// fingerprint asks a table many things, from a seed of its own: equal tables give equal fingerprints.
func fingerprint(table *Table, o Options, seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 8336))
	var b strings.Builder
	fmt.Fprintf(&b, "%d sites, default %s\n", table.Len(), siteName(table.Default()))
	var names []string
	for s := range table.All {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	fmt.Fprintln(&b, names)
	for _, h := range worldHosts {
		a := MustParse(h)
		fmt.Fprintln(&b, h, siteName(table.Lookup(a)), siteName(table.Choose(a.Host(), randomConn(rng, o))))
	}
	for range 40 {
		c := randomConn(rng, o)
		r := randomRequest(rng, c)
		fmt.Fprintln(&b, r.Authority, answerOf(table.Decide(c, r)))
	}
	return b.String()
}

func siteName(s *Site) string {
	if s == nil {
		return "-"
	}
	return s.Name
}

// Whatever the way to a set of sites, the answers are those of a table built from scratch, and tables on the way do not
// change.
func TestWithAgreesWithNewTable(t *testing.T) {
	rng := random(t)
	refused := 0
	for range 150 {
		o := randomOptions(rng)
		current := map[string]Site{}
		table, err := NewTable(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			next, changed, removed := maps.Clone(current), []Site(nil), []string(nil)
			for range 1 + rng.IntN(3) {
				name := fmt.Sprintf("s%d", rng.IntN(9))
				if _, there := next[name]; there && rng.IntN(3) == 0 && !slices.ContainsFunc(changed, func(s Site) bool { return s.Name == name }) {
					removed = append(removed, name)
					delete(next, name)
				} else if !slices.Contains(removed, name) && !slices.ContainsFunc(changed, func(s Site) bool { return s.Name == name }) {
					changed = append(changed, randomSite(rng, name, o))
					next[name] = changed[len(changed)-1]
				}
			}
			sites := slices.Collect(maps.Values(next))
			rng.Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
			probe := rng.Uint64()
			before := fingerprint(table, o, probe)
			with, withErr := table.With(changed, removed...)
			scratch, err := NewTable(o, sites)
			if (withErr == nil) != (err == nil) {
				t.Fatalf("With says %v, NewTable %v", withErr, err)
			}
			if clash := (&model{o, sites}).clash(); clash != (err != nil) {
				t.Fatalf("NewTable says %v, but hosts clash: %v", err, clash)
			}
			if after := fingerprint(table, o, probe); after != before {
				t.Fatalf("the predecessor changed:\n%s\n%s", before, after)
			}
			if err != nil {
				if with != nil || scratch != nil {
					t.Fatal("a table beside an error")
				}
				refused++
				continue
			}
			if a, b := fingerprint(with, o, probe), fingerprint(scratch, o, probe); a != b {
				t.Fatalf("With gives\n%s\nNewTable gives\n%s", a, b)
			}
			table, current = with, next
		}
	}
	if refused < 50 {
		t.Errorf("only %d changes were refused: the test draws badly", refused)
	}
}

// A table that grows to many times its size is cut into more shards, and nothing gets lost on the way.
func TestWithGrowsPastItsShards(t *testing.T) {
	const sites, hosts = 60, 150
	host := func(s, h int) string { return fmt.Sprintf("h%d.site-%d.test", h, s) }
	site := func(s int) Site {
		x := Site{Name: fmt.Sprintf("site-%d", s), Value: s}
		for h := range hosts {
			x.Patterns = append(x.Patterns, MustParsePattern(host(s, h)))
		}
		x.Patterns = append(x.Patterns, MustParsePattern(fmt.Sprintf("*.site-%d.test", s)))
		return x
	}
	any := site(0)
	any.Patterns = append(any.Patterns, MustParsePattern("*"))
	table, err := NewTable(Options{DefaultSite: "site-0"}, []Site{any})
	if err != nil {
		t.Fatal(err)
	}
	first, shards := table, len(table.index.shards)
	var history []*Table
	for s := 1; s < sites; s++ {
		if table, err = table.With([]Site{site(s)}); err != nil {
			t.Fatal(err)
		}
		history = append(history, table)
	}
	if len(table.index.shards) <= shards {
		t.Fatalf("%d shards at the end, %d at the beginning: nothing grew", len(table.index.shards), shards)
	}
	check := func(table *Table, last int, gone int) {
		t.Helper()
		for s := range sites {
			for _, h := range []int{0, hosts / 2, hosts - 1, hosts + 7} { // the last one by the wildcard
				want := any.Name
				if s <= last && s != gone {
					want = fmt.Sprintf("site-%d", s)
				}
				got := table.Lookup(MustParse(host(s, h)))
				if siteName(got) != want || want != any.Name && got != table.Site(want) {
					t.Fatalf("%s belongs to %s, want %s", host(s, h), siteName(got), want)
				}
			}
		}
		if table.Default() != table.Site("site-0") || table.Default() != table.catchAll {
			t.Fatal("default site or catch-all is of another table")
		}
	}
	check(first, 0, -1)
	for i, h := range history {
		check(h, i+1, -1)
	}
	// After the growth sites can still be replaced, refused and removed.
	for _, s := range []int{1, 17, sites - 1} {
		less, err := table.With(nil, fmt.Sprintf("site-%d", s))
		if err != nil {
			t.Fatal(err)
		}
		check(less, sites-1, s)
		if less.index.keys != table.index.keys-hosts-2 || less.Len() != sites-1 {
			t.Errorf("%d keys and %d sites are left", less.index.keys, less.Len())
		}
		again, err := less.With([]Site{site(s)})
		if err != nil {
			t.Fatal(err)
		}
		check(again, sites-1, -1)
		if _, err := table.With([]Site{{Name: "thief", Patterns: []Pattern{MustParsePattern(host(s, 3))}}}); err == nil {
			t.Error("a host is taken twice after the growth")
		}
	}
	if _, err := table.With([]Site{{Name: "second", Patterns: []Pattern{MustParsePattern("*")}}}); err == nil {
		t.Error("two catch-alls after the growth")
	}
	check(table, sites-1, -1)
}

func TestTablesThatAreRefused(t *testing.T) {
	host := func(h ...string) (list []Pattern) {
		for _, s := range h {
			list = append(list, MustParsePattern(s))
		}
		return list
	}
	listeners := []Listener{{Name: "a", Scheme: HTTPS, Ports: []uint16{443}}, {Name: "b", Scheme: HTTPS, Ports: []uint16{443}}, {Name: "web", Scheme: HTTP, Ports: []uint16{80}}}
	for _, c := range []struct {
		name    string
		options Options
		sites   []Site
		want    string // in the error; empty: none
	}{
		{"no sites", Options{}, nil, ""},
		{"no name", Options{}, []Site{{Patterns: host("a.test")}}, "name"},
		{"long name", Options{}, []Site{{Name: strings.Repeat("x", 254), Patterns: host("a.test")}}, "253"},
		{"longest name", Options{}, []Site{{Name: strings.Repeat("x", 253), Patterns: host("a.test")}}, ""},
		{"no hosts", Options{}, []Site{{Name: "a"}}, "needs hosts"},
		{"zero pattern", Options{}, []Site{{Name: "a", Patterns: []Pattern{{}}}}, "invalid pattern"},
		{"same name", Options{}, []Site{{Name: "a", Patterns: host("a.test")}, {Name: "a", Patterns: host("b.test")}}, "two sites"},
		{"same host", Options{}, []Site{{Name: "a", Patterns: host("a.test")}, {Name: "b", Patterns: host("A.test.")}}, `site "b": site "a" has the host "a.test" already`},
		{"same wildcard", Options{}, []Site{{Name: "a", Patterns: host("*.a.test")}, {Name: "b", Patterns: host("*.a.test")}}, `"*.a.test"`},
		{"same address", Options{}, []Site{{Name: "a", Patterns: host("[::1]")}, {Name: "b", Patterns: host("[0::1]")}}, `"[::1]"`},
		{"host and wildcard", Options{}, []Site{{Name: "a", Patterns: host("x.a.test")}, {Name: "b", Patterns: host("*.a.test")}}, ""},
		{"host twice in one site", Options{}, []Site{{Name: "a", Patterns: host("a.test", "a.test")}}, ""},
		{"other ports", Options{}, []Site{{Name: "a", Patterns: host("a.test")}, {Name: "b", Patterns: host("a.test:1")}, {Name: "c", Patterns: host("a.test:2")}}, ""},
		{"same port", Options{}, []Site{{Name: "b", Patterns: host("a.test:1")}, {Name: "c", Patterns: host("a.test:1")}}, `"a.test:1"`},
		{"two catch-alls", Options{}, []Site{{Name: "a", Patterns: host("*")}, {Name: "b", Patterns: host("*")}}, "catch-all"},
		{"other listeners", Options{Listeners: listeners}, []Site{{Name: "a", Patterns: host("a.test"), Listeners: []string{"a"}}, {Name: "b", Patterns: host("a.test"), Listeners: []string{"b", "web"}}}, ""},
		{"one shared listener", Options{Listeners: listeners}, []Site{{Name: "a", Patterns: host("a.test"), Listeners: []string{"a", "web"}}, {Name: "b", Patterns: host("a.test"), Listeners: []string{"b", "web"}}}, "already"},
		{"all listeners and one", Options{Listeners: listeners}, []Site{{Name: "a", Patterns: host("a.test")}, {Name: "b", Patterns: host("a.test"), Listeners: []string{"b"}}}, "already"},
		{"unknown listener", Options{Listeners: listeners}, []Site{{Name: "a", Patterns: host("a.test"), Listeners: []string{"c"}}}, `"c"`},
		{"listener of a table without listeners", Options{}, []Site{{Name: "a", Patterns: host("a.test"), Listeners: []string{""}}}, "no listener"},
		{"same listener name", Options{Listeners: []Listener{listeners[0], listeners[0]}}, nil, "two listeners"},
		{"listener without scheme", Options{Listeners: []Listener{{Name: "x"}}}, nil, "http or https"},
		{"listener of a strange scheme", Options{Listeners: []Listener{{Name: "x", Scheme: 9}}}, nil, "http or https"},
		{"default site", Options{DefaultSite: "a"}, []Site{{Name: "a", Patterns: host("a.test")}}, ""},
		{"no such default site", Options{DefaultSite: "b"}, []Site{{Name: "a", Patterns: host("a.test")}}, `default site "b"`},
		{"client authentication without CAs", Options{}, []Site{{Name: "a", Patterns: host("a.test"), ClientAuth: Require}}, "certificate authorities"},
		{"client authentication in plaintext", Options{}, []Site{{Name: "a", Patterns: host("a.test"), ClientAuth: Optional, ClientCAs: digestOf("x"), PlainHTTP: true}}, "plaintext"},
		{"unknown client authentication", Options{}, []Site{{Name: "a", Patterns: host("a.test"), ClientAuth: 3, ClientCAs: digestOf("x")}}, "unknown client"},
	} {
		check := func(how string, table *Table, err error) {
			t.Helper()
			if c.want == "" && err != nil || c.want != "" && (err == nil || table != nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s (%s): %v, want %q", c.name, how, err, c.want)
			}
		}
		table, err := NewTable(c.options, c.sites)
		check("NewTable", table, err)
		o := c.options
		o.DefaultSite = ""
		empty, err := NewTable(o, nil)
		if err != nil || c.options.DefaultSite != "" {
			continue
		}
		table, err = empty.With(c.sites)
		check("With", table, err)
	}
}

func TestWithRefuses(t *testing.T) {
	a := Site{Name: "a", Patterns: []Pattern{MustParsePattern("a.test")}}
	table, err := NewTable(Options{DefaultSite: "a"}, []Site{a})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() (*Table, error){
		"the default site is removed":  func() (*Table, error) { return table.With(nil, "a") },
		"a site that is not there":     func() (*Table, error) { return table.With(nil, "b") },
		"a table without sites":        func() (*Table, error) { return CertificateRule(Options{}).With([]Site{a}) },
		"the zero table":               func() (*Table, error) { return (&Table{}).With([]Site{a}) },
		"two sites of a name":          func() (*Table, error) { return table.With([]Site{a, a}) },
		"a site that came out of one":  func() (*Table, error) { return table.With([]Site{*table.Site("a")}) },
		"a host that another site has": func() (*Table, error) { return table.With([]Site{{Name: "b", Patterns: a.Patterns}}) },
	} {
		if got, err := change(); err == nil || got != nil {
			t.Errorf("%s: %v, %v, want an error", name, got, err)
		}
	}
	// A host may move between sites in one change.
	moved, err := table.With([]Site{{Name: "b", Patterns: a.Patterns}, {Name: "a", Patterns: []Pattern{MustParsePattern("b.test")}}})
	if err != nil || siteName(moved.Lookup(MustParse("a.test"))) != "b" || siteName(moved.Default()) != "a" || siteName(table.Lookup(MustParse("a.test"))) != "a" {
		t.Errorf("a host moves: %v", err)
	}
	if len(a.Patterns) != 1 {
		t.Error("the caller's site has lost its hosts")
	}
}
