package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strconv"

	"github.com/usher-http/usher/statuscode"
)

//go:embed templates/*.html
var templateFiles embed.FS

// A renderer makes pages: for the server, or as files.
type renderer struct {
	files bool // as files: nothing is there that would answer
	watch bool // there is something to watch
	t     *template.Template
}

func newRenderer(files, watch bool) *renderer {
	p := &renderer{files: files, watch: watch}
	p.t = template.Must(template.New("").Funcs(template.FuncMap{
		"href": p.href, "home": p.home, "spans": statuscode.Spans, "groups": groups,
		"isCode": func(s statuscode.Span) bool { return s.Kind == statuscode.CodeSpan },
		"isLink": func(s statuscode.Span) bool { return s.Kind == statuscode.CodeLink },
		"strong": func(s statuscode.Span) bool { return s.Kind == statuscode.Strong },
	}).ParseFS(templateFiles, "templates/*.html"))
	return p
}

// href is where the page of a code stands, relative to all pages.
func (p *renderer) href(number int) string {
	if p.files {
		return strconv.Itoa(number) + ".html"
	}
	return strconv.Itoa(number)
}

// home is where the list stands.
func (p *renderer) home() string {
	if p.files {
		return "index.html"
	}
	return "./"
}

// A frame is what every page has.
type frame struct {
	Title string
	Files bool
	Home  bool // the list itself

	Subject int // the code that the page is about, whose JSON and command it names; 0: all
}

func (p *renderer) page(name string, data any) []byte {
	var b bytes.Buffer
	if err := p.t.ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("web: %s: %v", name, err)) // a mistake in a template, which tests find
	}
	return b.Bytes()
}

// A group is a paragraph, or the items of a list.
type group struct {
	List  bool
	Lines []string
}

// groups puts the items of each list together.
func groups(t statuscode.Text) []group {
	var list []group
	for _, b := range t {
		if n := len(list); b.Item && n > 0 && list[n-1].List {
			list[n-1].Lines = append(list[n-1].Lines, b.Text)
			continue
		}
		list = append(list, group{b.Item, []string{b.Text}})
	}
	return list
}
