package authority

import (
	"fmt"
	"slices"
)

// A SiteError says what is wrong with a site of a table.
type SiteError struct {
	Site   string
	Reason string
}

func (e *SiteError) Error() string { return fmt.Sprintf("site %q: %s", e.Site, e.Reason) }

func (t *Table) setListeners(list []Listener) error {
	if len(list) == 0 {
		t.listeners = []*listener{{any: true}}
		return nil
	}
	seen := map[string]bool{}
	for _, l := range list {
		if seen[l.Name] {
			return fmt.Errorf("two listeners have the name %q", l.Name)
		}
		if l.Scheme != HTTP && l.Scheme != HTTPS {
			return fmt.Errorf("listener %q: the scheme is http or https", l.Name)
		}
		seen[l.Name] = true
		t.listeners = append(t.listeners, &listener{Listener: l, order: len(t.listeners)})
	}
	return nil
}

// compile checks a site by itself and returns the table's copy.
func (t *Table) compile(from *Site) (*Site, error) {
	s := new(Site)
	*s = *from
	s.shards = nil
	switch {
	case s.Name == "" || len(s.Name) > maxName:
		return nil, &SiteError{s.Name, "a site needs a name of 1 to 253 bytes"}
	case len(s.Patterns) == 0:
		return nil, &SiteError{s.Name, "a site needs hosts"}
	case s.ClientAuth > Require:
		return nil, &SiteError{s.Name, "unknown client authentication"}
	case s.ClientAuth != None && s.ClientCAs == CADigest{}:
		// Without this, the empty sets of two sites would be the same set.
		return nil, &SiteError{s.Name, "client authentication needs certificate authorities"}
	case s.ClientAuth != None && s.PlainHTTP:
		return nil, &SiteError{s.Name, "a site with client authentication cannot be served in plaintext"}
	}
	var err error
	if s.listeners, err = t.resolve(s); err != nil {
		return nil, err
	}
	s.first = s.listeners[0].order
	for _, l := range s.listeners {
		s.first = min(s.first, l.order)
	}
	return s, nil
}

func (t *Table) resolve(s *Site) ([]*listener, error) {
	if len(s.Listeners) == 0 {
		return t.listeners, nil
	}
	var found []*listener
	for _, name := range s.Listeners {
		i := slices.IndexFunc(t.listeners, func(l *listener) bool { return !l.any && l.Name == name })
		if i < 0 {
			return nil, &SiteError{s.Name, fmt.Sprintf("there is no listener %q", name)}
		}
		found = append(found, t.listeners[i])
	}
	return found, nil
}

// add gives the site a number and appends its keys.
func (t *Table) add(s *Site, keys []key) ([]key, error) {
	n := t.number()
	t.pages[n/pageSize][n%pageSize] = s
	t.count++
	keys = append(keys, key{siteKeyPrefix + s.Name, n, 0})
	for _, p := range s.Patterns {
		switch p.match {
		case matchExact:
			keys = append(keys, key{p.at.host, n, p.at.port})
		case matchWildcard:
			keys = append(keys, key{"." + p.at.host, n, p.at.port})
		case matchAny:
			if t.catchAll != nil && t.catchAll != s {
				return nil, &SiteError{s.Name, fmt.Sprintf("site %q has the catch-all host already", t.catchAll.Name)}
			}
			t.catchAll = s
		default:
			return nil, &SiteError{s.Name, "invalid pattern"}
		}
	}
	return keys, nil
}

// number returns a free site number and makes the page it lies in t's own.
func (t *Table) number() uint32 {
	var n uint32
	if last := len(t.free) - 1; last >= 0 {
		n, t.free = t.free[last], t.free[:last]
	} else {
		n = t.numbers
		t.numbers++
	}
	t.ownPage(n)
	return n
}

func (t *Table) ownPage(n uint32) {
	i := int(n / pageSize)
	if t.owned[i] {
		return
	}
	if t.owned == nil {
		t.owned = map[int]bool{}
	}
	t.owned[i] = true
	if i == len(t.pages) {
		t.pages = append(t.pages, new(sitePage))
		return
	}
	page := *t.pages[i]
	t.pages[i] = &page
}

// remove takes a site out of the pages and notes in drop where its keys lie.
func (t *Table) remove(name string, drop map[uint32][]uint32) {
	s := t.Site(name)
	if s == nil {
		return
	}
	w := t.index.walk(siteKeyPrefix + name)
	e, _ := w.step()
	if _, done := drop[e.site]; done {
		return
	}
	drop[e.site] = s.shards
	t.ownPage(e.site)
	t.pages[e.site/pageSize][e.site%pageSize] = nil
	t.free = append(t.free, e.site)
	t.count--
	if t.catchAll == s {
		t.catchAll = nil
	}
}

// settle notes where the keys of a new site lie, and refuses hosts that another site has on a listener that both
// share. After it the patterns are no longer held.
func (t *Table) settle(s *Site) error {
	touched := []uint32{t.index.shardOf(hashOf(siteKeyPrefix + s.Name))}
	for _, p := range s.Patterns {
		text := p.key()
		if text == "" {
			continue
		}
		touched = append(touched, t.index.shardOf(hashOf(text)))
		for w := t.index.walk(text); ; {
			e, ok := w.step()
			if !ok {
				break
			}
			other := t.site(e.site)
			if other != s && e.port == p.at.port && shareListener(s, other) {
				return &SiteError{s.Name, fmt.Sprintf("site %q has the host %q already", other.Name, p)}
			}
		}
	}
	slices.Sort(touched)
	s.shards = slices.Clip(slices.Compact(touched))
	s.Patterns = nil
	return nil
}

// resettle notes anew where keys lie, after the number of shards has changed. The sites are copied: the
// predecessor of this table still uses its own.
func (t *Table) resettle(x *index) {
	shards := map[uint32][]uint32{}
	for i := range x.shards {
		for _, k := range x.shards[i].all() {
			if list := shards[k.site]; len(list) == 0 || list[len(list)-1] != uint32(i) {
				shards[k.site] = append(list, uint32(i))
			}
		}
	}
	for n := range t.numbers {
		old := t.site(n)
		if old == nil {
			continue
		}
		s := *old
		s.shards = shards[n]
		t.ownPage(n)
		t.pages[n/pageSize][n%pageSize] = &s
		if t.catchAll == old {
			t.catchAll = &s
		}
	}
}

func (p Pattern) key() string {
	switch p.match {
	case matchExact:
		return p.at.host
	case matchWildcard:
		return "." + p.at.host
	}
	return ""
}

func shareListener(a, b *Site) bool {
	return slices.ContainsFunc(a.listeners, func(l *listener) bool { return slices.Contains(b.listeners, l) })
}

// finish ends the building of a table.
func (t *Table) finish() error {
	t.owned = nil
	t.defaultTo = nil
	if t.options.DefaultSite == "" {
		return nil
	}
	if t.defaultTo = t.Site(t.options.DefaultSite); t.defaultTo == nil {
		return fmt.Errorf("the default site %q is no site", t.options.DefaultSite)
	}
	return nil
}
