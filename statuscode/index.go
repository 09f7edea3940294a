package statuscode

import (
	"slices"
	"sync"
)

// An entry is what a search knows of a code.
type entry struct {
	code   *Code
	fields []field // the dearest first
}

// A field is a set of words that are worth the same.
type field struct {
	worth int
	words []string
}

var entries = sync.OnceValue(func() []entry {
	var list []entry
	for _, c := range All() {
		e := entry{code: c}
		add := func(worth int, texts ...string) {
			f := field{worth: worth}
			for _, t := range texts {
				f.words = append(f.words, words(t)...)
			}
			slices.Sort(f.words)
			f.words = slices.Compact(f.words)
			e.fields = append(e.fields, f)
		}
		add(inName, c.Name)
		add(inWords, append(slices.Clone(c.Words), c.Class().String(), string(c.State))...)
		add(inSummary, c.Summary)
		add(inText, c.smallPrint()...)
		list = append(list, e)
	}
	return list
})

// smallPrint is the text below the summary.
func (c *Code) smallPrint() []string {
	var list []string
	for _, t := range []Text{c.Server.When, c.Server.Respond, c.Server.Body, c.Client.Action, c.Client.Retries, c.Client.Caches} {
		list = append(list, t.String())
	}
	for _, h := range c.Server.Headers {
		list = append(list, h.Name, h.Note)
	}
	for _, d := range c.Depth {
		list = append(list, d.Title, d.Text.String())
	}
	return append(list, c.Server.Pitfalls...)
}
