package authority

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Mode says what happens to requests that are refused.
type Mode uint8

const (
	Enforce Mode = iota
	// Observe serves what only questions 2, 5, 7 and 8 would refuse, and records it in Verdict.Waived.
	Observe
)

func (m Mode) String() string {
	if m == Observe {
		return "observe"
	}
	return "enforce"
}

// Options are the rules of a table beside its sites.
type Options struct {
	Mode        Mode
	Listeners   []Listener // none: one listener without a name that takes every connection
	DefaultSite string     // chosen at handshakes whose SNI is absent or unknown; empty: they fail
	// UnknownNotFound answers unknown origins with 404 where that tells nothing: the connection's certificate covers
	// the host and the host is the connection's SNI. Otherwise, and everywhere else, 421.
	UnknownNotFound bool
	// SamePolicy tells, in a table without sites, that host may be served on a connection whose TLS configuration the
	// caller chose for sni. Both are canonical hosts; sni is empty where it was absent. It must always give the same
	// answer, because verdicts are remembered. nil: only the same host.
	SamePolicy func(sni, host string) bool
	// MaxOrigins caps what a connection is told of by Advertise. 0: DefaultMaxOrigins.
	MaxOrigins int
}

// A Table is an immutable set of sites and rules, safe for concurrent use. Its zero value, like [CertificateRule],
// knows no sites and applies the certificate rule alone (questions 1, 2 and 5 of the decision).
type Table struct {
	generation uint64
	options    Options
	withSites  bool
	index      *index
	pages      []*sitePage
	free       []uint32     // numbers of removed sites
	owned      map[int]bool // while the table is built: pages that are not shared with the predecessor
	numbers    uint32
	count      int
	listeners  []*listener
	catchAll   *Site
	defaultTo  *Site
}

// Sites lie in pages, so that a changed table shares all pages but the changed ones.
const pageSize = 256

type sitePage [pageSize]*Site

// 0 is the generation of the zero Table.
var generations atomic.Uint64

// CertificateRule returns a table without sites. Of the options it uses Mode and SamePolicy.
func CertificateRule(o Options) *Table {
	return &Table{generation: generations.Add(1), options: o}
}

// NewTable builds a table with sites. No sites at all is allowed: every origin is then unknown.
func NewTable(o Options, sites []Site) (*Table, error) {
	t := &Table{generation: generations.Add(1), options: o, withSites: true}
	if err := t.setListeners(o.Listeners); err != nil {
		return nil, err
	}
	keyCount := 0
	for i := range sites {
		keyCount += len(sites[i].Patterns) + 1
	}
	keys := make([]key, 0, keyCount)
	names := make(map[string]bool, len(sites))
	for i := range sites {
		s, err := t.compile(&sites[i])
		if err != nil {
			return nil, err
		}
		if names[s.Name] {
			return nil, &SiteError{s.Name, "two sites have this name"}
		}
		names[s.Name] = true
		if keys, err = t.add(s, keys); err != nil {
			return nil, err
		}
	}
	t.index = newIndex(keys)
	for i := range slices.Backward(sites) { // of two sites that clash the later one is blamed
		if err := t.settle(t.Site(sites[i].Name)); err != nil {
			return nil, err
		}
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	return t, nil
}

// With returns a table with the same options in which the given sites are new or take the place of those of
// the same name, and the sites named in remove are gone. Its cost goes with what changes, not with the size of
// the table. t stays as it is.
func (t *Table) With(sites []Site, remove ...string) (*Table, error) {
	if !t.withSites {
		return nil, fmt.Errorf("authority: a table without sites cannot be extended")
	}
	u := *t
	u.generation = generations.Add(1)
	u.pages, u.free = slices.Clone(t.pages), slices.Clone(t.free)
	drop := map[uint32][]uint32{}
	if err := u.removeAll(sites, remove, drop); err != nil {
		return nil, err
	}
	var keys []key
	added := make(map[string]bool, len(sites))
	for i := range sites {
		s, err := u.compile(&sites[i])
		if err != nil {
			return nil, err
		}
		if added[s.Name] {
			return nil, &SiteError{s.Name, "two sites have this name"}
		}
		added[s.Name] = true
		if keys, err = u.add(s, keys); err != nil {
			return nil, err
		}
	}
	u.index = u.reindex(keys, drop)
	for i := range slices.Backward(sites) {
		if err := u.settle(u.Site(sites[i].Name)); err != nil {
			return nil, err
		}
	}
	if err := u.finish(); err != nil {
		return nil, err
	}
	return &u, nil
}

// removeAll takes out the sites that go and those whose place is taken.
func (t *Table) removeAll(replaced []Site, remove []string, drop map[uint32][]uint32) error {
	for _, name := range remove {
		if t.Site(name) == nil {
			return &SiteError{name, "there is no site of this name to remove"}
		}
		t.remove(name, drop)
	}
	for i := range replaced {
		t.remove(replaced[i].Name, drop)
	}
	return nil
}

// reindex shares shards with the predecessor, unless the table has outgrown them.
func (t *Table) reindex(add []key, drop map[uint32][]uint32) *index {
	x := t.index.with(add, drop)
	if shardsFor(x.keys) <= 4*len(x.shards) {
		return x
	}
	var all []key
	for i := range x.shards {
		all = append(all, x.shards[i].all()...)
	}
	grown := newIndex(all)
	t.resettle(grown)
	return grown
}

// Len returns the number of sites.
func (t *Table) Len() int { return t.count }

// HasSites reports whether t was made by NewTable.
func (t *Table) HasSites() bool { return t.withSites }

// Options returns the options that t was made with.
func (t *Table) Options() Options { return t.options }

// Site returns the site of that name, nil if there is none.
func (t *Table) Site(name string) *Site {
	if t.index == nil || len(name) > maxName {
		return nil
	}
	// Names are compared piecewise so that a lookup by name needs no concatenation on the heap.
	var buf [maxName + 1]byte
	k := append(append(buf[:0], siteKeyPrefix...), name...)
	w := t.index.walk(string(k))
	e, ok := w.step()
	if !ok {
		return nil
	}
	return t.site(e.site)
}

// All calls yield for each site until it returns false, in no particular order.
func (t *Table) All(yield func(*Site) bool) {
	for _, page := range t.pages {
		for _, s := range page {
			if s != nil && !yield(s) {
				return
			}
		}
	}
}

// Default returns the site for handshakes whose SNI is absent or unknown, or nil.
func (t *Table) Default() *Site { return t.defaultTo }

func (t *Table) site(n uint32) *Site { return t.pages[n/pageSize][n%pageSize] }
