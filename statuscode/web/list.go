package web

import (
	"errors"
	"strconv"
	"strings"

	"github.com/usher-http/usher/statuscode"
)

// listPage is the list of codes, all or those that were searched for.
type listPage struct {
	frame
	Query   string
	Class   statuscode.Class // 0: all
	Bad     string           // what was asked for and cannot be
	Count   int
	Classes []classLink
	Groups  []codeGroup
	Near    []*statuscode.Code // where nothing was found
	Number  int                // of an unregistered code that was searched for,
	Wild    string             // and what is known of it
}

type classLink struct {
	Class   statuscode.Class
	Label   string
	Query   string // of the link, URL-encoded by the template
	Current bool
}

// A codeGroup is a class, or the hits of a search in their order.
type codeGroup struct {
	Class statuscode.Class // 0: hits
	Codes []*statuscode.Code
}

// list makes the page for a query and a class, as they were typed.
func (p *renderer) list(query, class string) []byte {
	c, err := classOf(class)
	l := listPage{frame: frame{Title: "HTTP status codes", Files: p.files, Home: true}, Query: shown(query), Class: c}
	if err != nil {
		l.Bad = shown(class)
	}
	l.Classes = append(l.Classes, classLink{Label: "All", Query: l.Query, Current: c == 0})
	for _, each := range statuscode.Classes {
		l.Classes = append(l.Classes, classLink{each, each.Digits(), l.Query, each == c})
	}
	found := find(l.Query, c)
	l.Count = len(found)
	switch {
	case l.Query != "" && len(found) > 0:
		l.Groups = []codeGroup{{Codes: found}}
	case l.Query != "":
		l.Near = find(l.Query, 0) // in other classes
		l.Number = statuscode.WildIn(l.Query)
		l.Wild = statuscode.InTheWild(l.Number)
	default:
		l.Groups = byClass(found)
	}
	return p.page("list", l)
}

// shown is what a page repeats of what was typed: as much as the search looks at, and nothing that is no text.
func shown(typed string) string {
	r := []rune(strings.ToValidUTF8(strings.TrimSpace(typed), "\uFFFD"))
	return string(r[:min(len(r), 100)])
}

func byClass(codes []*statuscode.Code) []codeGroup {
	var list []codeGroup
	for _, c := range codes {
		if n := len(list); n == 0 || list[n-1].Class != c.Class() {
			list = append(list, codeGroup{Class: c.Class()})
		}
		last := &list[len(list)-1]
		last.Codes = append(last.Codes, c)
	}
	return list
}

// missingPage is for what is not there.
type missingPage struct {
	frame
	Asked   string
	Why     string
	Wild    string // what is known of an unregistered code
	Near    []*statuscode.Code
	Numeric bool
}

// missing makes the page for a path that is none.
func (p *renderer) missing(path string, err error) []byte {
	m := missingPage{frame: frame{Title: "Not found", Files: p.files}, Asked: shown(path)}
	switch {
	case errors.Is(err, statuscode.ErrUnknown):
		n, _ := strconv.Atoi(path)
		m.Numeric, m.Why, m.Wild = true, statuscode.ErrUnknown.Error(), statuscode.InTheWild(n)
		m.Near = around(n)
	case errors.Is(err, statuscode.ErrOutOfRange):
		m.Numeric, m.Why = true, statuscode.ErrOutOfRange.Error()
	default:
		m.Near = statuscode.Search(path)
		m.Near = m.Near[:min(len(m.Near), 5)]
	}
	return p.page("missing", m)
}

// around returns the registered codes before and after a number.
func around(n int) []*statuscode.Code {
	var before, after *statuscode.Code
	for _, c := range statuscode.All() {
		if c.Number < n {
			before = c
		}
		if c.Number > n && after == nil {
			after = c
		}
	}
	var list []*statuscode.Code
	for _, c := range []*statuscode.Code{before, after} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}
