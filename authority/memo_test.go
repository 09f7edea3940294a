package authority

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Two hosts on one connection, one allowed and one refused, asked from many goroutines while the tables change under
// them: no goroutine ever gets the other's answer, or another table's.
func TestConcurrentStreamsNeverMixAnswers(t *testing.T) {
	names := NewNames([]string{"*.test"}, nil)
	// In odd tables the hosts have changed roles.
	build := func(n int) *Table {
		open, closed := "a.test", "b.test"
		if n%2 == 1 {
			open, closed = closed, open
		}
		table, err := NewTable(Options{}, []Site{
			{Name: "open", Patterns: []Pattern{MustParsePattern(open), MustParsePattern("*.test")}},
			{Name: "closed", Patterns: []Pattern{MustParsePattern(closed)}, ClientAuth: Require, ClientCAs: digestOf("staff")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	type numbered struct {
		table *Table
		n     int
	}
	var current atomic.Pointer[numbered]
	current.Store(&numbered{build(0), 0})
	c := &Conn{Secure: true, SNI: "a.test", Site: "open", Names: []*Names{names}, Version: 0x0304}
	var wg sync.WaitGroup
	var asked atomic.Int64
	done := make(chan struct{})
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				now := current.Load()
				host, want := "a.test", OK
				switch (i + g) % 3 {
				case 1:
					host = "b.test"
				case 2:
					host = fmt.Sprintf("c%d.test", i%6) // pushes the others out of the memo
				}
				if host == [2]string{"b.test", "a.test"}[now.n%2] {
					want = ClientAuthMismatch
				}
				v := now.table.Decide(c, Request{Scheme: HTTPS, Authority: host})
				if v.Reason != want || v.Served() != (want == OK) || v.Site != now.table.Site(v.Site.Name) || v.Close != (want != OK && host == "a.test") {
					t.Errorf("%s under table %d: %+v, want %v", host, now.n, v, want)
					return
				}
				asked.Add(1)
			}
		})
	}
	for n := 1; n < 300 || asked.Load() < 20000; n++ {
		current.Store(&numbered{build(n), n})
		if t.Failed() {
			break
		}
	}
	close(done)
	wg.Wait()
}

func TestDecideOfARepeatedHostDoesNotAllocate(t *testing.T) {
	table, err := NewTable(Options{}, []Site{{Name: "s", Patterns: []Pattern{MustParsePattern("*.test")}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{Secure: true, SNI: "a.test", Names: []*Names{NewNames([]string{"*.test"}, nil)}}
	hosts := []string{"a.test", "B.test", "c.test:443", "d.other"}
	next := 0
	if n := testing.AllocsPerRun(100, func() {
		table.Decide(c, Request{Scheme: HTTPS, Authority: hosts[next%len(hosts)]})
		next++
	}); n != 0 {
		t.Errorf("Decide allocates %v times", n)
	}
	for _, h := range []string{"x.test", "other.example"} {
		a := MustParse(h)
		if n := testing.AllocsPerRun(100, func() { table.Lookup(a) }); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", h, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Site("s") }); n != 0 {
		t.Errorf("Site allocates %v times", n)
	}
}

// What a request says beyond its authority must not be answered from memory, and must not get into it.
func TestMemoKeepsToWhatItKnows(t *testing.T) {
	table, err := NewTable(Options{}, []Site{{Name: "s", Patterns: []Pattern{MustParsePattern("a.test")}, ClientAuth: Require, ClientCAs: digestOf("staff")}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{Secure: true, Trusted: true, Names: []*Names{NewNames([]string{"a.test"}, nil)}}
	with := Request{Scheme: HTTPS, Authority: "a.test", ClientCert: func(*Site) bool { return true }}
	failing := Request{Scheme: HTTPS, Authority: "a.test", ClientCert: func(*Site) bool { return false }}
	without := Request{Scheme: HTTPS, Authority: "a.test"}
	conflict := Request{Scheme: HTTPS, Authority: "a.test", Hosts: []string{"b.test"}}
	for i := range 3 {
		for _, x := range []struct {
			r    Request
			want Reason
		}{{with, OK}, {without, ClientAuthMismatch}, {with, OK}, {failing, ClientAuthMismatch}, {conflict, HostConflict}, {without, ClientAuthMismatch}} {
			if v := table.Decide(c, x.r); v.Reason != x.want {
				t.Errorf("round %d: %v, want %v", i, v.Reason, x.want)
			}
		}
	}
	for _, r := range []Request{{Scheme: HTTP, Authority: "a.test"}, {Scheme: HTTPS, Authority: "a.test"}} {
		plain := &Conn{Secure: true, Names: c.Names}
		table.Decide(plain, Request{Scheme: HTTPS, Authority: "a.test"})
		want := map[Scheme]Reason{HTTP: SchemeMismatch, HTTPS: ClientAuthMismatch}[r.Scheme]
		if v := table.Decide(plain, r); v.Reason != want {
			t.Errorf("%v: %v, want %v", r.Scheme, v.Reason, want)
		}
	}
}
