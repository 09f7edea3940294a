package statuscode

import (
	"embed"
	"fmt"
	"slices"
	"sync"
)

//go:embed codes/*.md
var files embed.FS

// registry is read when it is first asked for. Tests read it too: a mistake in a file cannot get into a release.
var registry = sync.OnceValue(func() []*Code {
	list, err := load(files)
	if err != nil {
		panic("statuscode: " + err.Error())
	}
	return list
})

func load(files embed.FS) ([]*Code, error) {
	entries, err := files.ReadDir("codes")
	if err != nil {
		return nil, err
	}
	var drafts []*draft
	for _, e := range entries {
		text, err := files.ReadFile("codes/" + e.Name())
		if err != nil {
			return nil, err
		}
		d, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		if e.Name() != fmt.Sprintf("%d.md", d.Number) {
			return nil, fmt.Errorf("%s is about %d", e.Name(), d.Number)
		}
		drafts = append(drafts, d)
	}
	return join(drafts)
}

// join makes pointers of the numbers of neighbours.
func join(drafts []*draft) ([]*Code, error) {
	byNumber := map[int]*Code{}
	var list []*Code
	for _, d := range drafts {
		byNumber[d.Number] = &d.Code
		list = append(list, &d.Code)
	}
	slices.SortFunc(list, func(a, b *Code) int { return a.Number - b.Number })
	for _, d := range drafts {
		for i, n := range d.confused {
			if byNumber[n] == nil {
				return nil, fmt.Errorf("%d is confused with %d, which is not there", d.Number, n)
			}
			d.Confused[i].Code = byNumber[n]
		}
		for _, n := range d.related {
			if byNumber[n] == nil {
				return nil, fmt.Errorf("%d is related to %d, which is not there", d.Number, n)
			}
			d.Related = append(d.Related, byNumber[n])
		}
	}
	return list, nil
}

// All returns the codes, ascending.
func All() []*Code { return registry() }

// Lookup returns a code, or nil.
func Lookup(number int) *Code {
	list := registry()
	i, ok := slices.BinarySearchFunc(list, number, func(c *Code, n int) int { return c.Number - n })
	if !ok {
		return nil
	}
	return list[i]
}

// Of returns the codes of a class, ascending.
func Of(class Class) []*Code {
	var list []*Code
	for _, c := range registry() {
		if c.Class() == class {
			list = append(list, c)
		}
	}
	return list
}

// Around returns the codes before and after one, nil at the ends.
func Around(c *Code) (previous, next *Code) {
	list := registry()
	i := slices.Index(list, c)
	if i > 0 {
		previous = list[i-1]
	}
	if i >= 0 && i+1 < len(list) {
		next = list[i+1]
	}
	return previous, next
}
