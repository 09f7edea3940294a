package web

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/statuscode"
)

// heaviest is what a page may weigh with everything that it loads, uncompressed.
const heaviest = 60_000

var refs = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

func unescape(s string) string { return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(s) }

// outside reports whether a reference leads to another site. Only links may.
func outside(ref string) bool { return strings.Contains(ref, "://") || strings.HasPrefix(ref, "//") }

// TestLinks follows every reference of every page: each leads somewhere, and nothing but a link leads to another site.
func TestLinks(t *testing.T) {
	h := New(Options{Watch: func(context.Context) ([]Step, error) { return nil, nil }})
	known := map[string]string{} // path to content; empty: not there
	get := func(path string) string {
		if _, asked := known[path]; !asked {
			w, body := ask(t, h, "GET", path)
			if w.StatusCode == 200 || strings.HasPrefix(path, "/try/") || path == "/watch" {
				known[path] = body + " "
			} else {
				known[path] = ""
			}
		}
		return known[path]
	}
	pages := []string{"/", "/?q=etag", "/?q=zzz", "/?class=4", "/419", "/nothing"}
	for _, c := range statuscode.All() {
		pages = append(pages, fmt.Sprintf("/%d", c.Number))
	}
	for _, page := range pages {
		_, body := ask(t, h, "GET", page)
		base, _ := url.Parse("http://guide.test" + page)
		for _, m := range refs.FindAllStringSubmatch(body, -1) {
			ref := unescape(m[1])
			if outside(ref) {
				if !strings.HasPrefix(m[0], "href") || !strings.Contains(body, `<a href="`+m[1]+`"`) {
					t.Errorf("%s loads %s", page, ref)
				}
				continue
			}
			to, err := base.Parse(ref)
			if err != nil {
				t.Errorf("%s: %q: %v", page, ref, err)
				continue
			}
			target := body
			if p := (&url.URL{Path: to.Path, RawQuery: to.RawQuery}).String(); p != page {
				target = get(p)
			}
			if target == "" {
				t.Errorf("%s refers to %s, which is not there", page, ref)
			}
			if to.Fragment != "" && !strings.Contains(target, `id="`+to.Fragment+`"`) {
				t.Errorf("%s refers to %s, which has no such place", page, ref)
			}
		}
	}
}

// TestWeight: each page with style sheet, script and icon stays light.
func TestWeight(t *testing.T) {
	h := New(Options{})
	rest := 0
	for _, a := range assets {
		rest += len(a.body)
	}
	most, name := 0, ""
	for _, p := range append([]string{"/"}, codePaths()...) {
		_, body := ask(t, h, "GET", p)
		if n := len(body) + rest; n > most {
			most, name = n, p
		}
	}
	if most > heaviest {
		t.Errorf("%s weighs %d bytes", name, most)
	}
	t.Logf("the heaviest page is %s: %d bytes", name, most)
}

func codePaths() []string {
	var list []string
	for _, c := range statuscode.All() {
		list = append(list, fmt.Sprintf("/%d", c.Number))
	}
	return list
}

// TestMarkup: pages are well-formed, identifiers are used once, headings skip no level, and every part of the guide is there.
func TestMarkup(t *testing.T) {
	h := New(Options{})
	for _, p := range append([]string{"/", "/?q=zzz", "/?q=etag", "/999", "/x"}, codePaths()...) {
		_, body := ask(t, h, "GET", p)
		checkMarkup(t, p, body)
	}
	for _, c := range statuscode.All() {
		_, body := ask(t, h, "GET", fmt.Sprintf("/%d", c.Number))
		for _, want := range []string{"Server perspective", "When to use it", "How to respond", "Headers to consider", "Response body",
			"Pitfalls", "Client perspective", "What to do", "May it be retried?", "May it be cached?", "Example", "Often confused with",
			"Related codes", "References", "Back to list"} {
			if !strings.Contains(body, want) {
				t.Errorf("%d has no %q", c.Number, want)
			}
		}
		before, after := statuscode.Around(c)
		if (before != nil) != strings.Contains(body, `rel="prev"`) || (after != nil) != strings.Contains(body, `rel="next"`) {
			t.Errorf("%d: previous and next", c.Number)
		}
	}
}

// checkMarkup reads a page as XML does, with the leave that HTML gives.
func checkMarkup(t *testing.T, page, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	ids, level := map[string]bool{}, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", page, err)
			return
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if n := e.Name.Local; len(n) == 2 && n[0] == 'h' && n[1] >= '1' && n[1] <= '6' {
			if next := int(n[1] - '0'); next > level+1 {
				t.Errorf("%s: %s comes after h%d", page, n, level)
			}
			level = int(n[1] - '0')
		}
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("%s has the id %q twice", page, a.Value)
			case a.Name.Local == "style", strings.HasPrefix(a.Name.Local, "on"):
				t.Errorf("%s: %s in the markup, which the policy forbids", page, a.Name.Local)
			}
			if a.Name.Local == "id" {
				ids[a.Value] = true
			}
		}
	}
}

// TestExport: the files refer to each other, and to nothing that only a server has.
func TestExport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	n, err := Export(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if !slices.Contains(names, "421.html") {
		t.Error("there is no 421.html")
	}
	if want := 2*len(statuscode.All()) + 5; len(names) != n || n != want {
		t.Errorf("%d files, said %d, want %d", len(names), n, want)
	}
	for _, name := range names {
		if path.Ext(name) != ".html" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		checkMarkup(t, name, string(data))
		for _, m := range refs.FindAllStringSubmatch(string(data), -1) {
			ref, fragment, _ := strings.Cut(unescape(m[1]), "#")
			if outside(ref) {
				continue
			}
			if ref != "" && !slices.Contains(names, ref) {
				t.Errorf("%s refers to %s", name, m[1])
			}
			if ref == "" && !strings.Contains(string(data), `id="`+fragment+`"`) {
				t.Errorf("%s refers to %s", name, m[1])
			}
		}
	}
	if _, err := Export(dir); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(dir); !errors.Is(err, ErrForeign) {
		t.Errorf("somebody else's index.html: %v", err)
	}
}

// TestExportBesideOthers: nothing that somebody else has made is overwritten, whatever it is; what has another name is no obstacle.
func TestExportBesideOthers(t *testing.T) {
	for _, name := range []string{"404.html", "style.css", "api/codes.json"} {
		dir := t.TempDir()
		theirs := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(theirs), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(theirs, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := Export(dir)
		if data, _ := os.ReadFile(theirs); !errors.Is(err, ErrForeign) || n != 0 || string(data) != "mine" || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %d files, %v, %.20q", name, n, err, data)
		}
	}
	dir := t.TempDir()
	other := filepath.Join(dir, "robots.txt")
	if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(dir); err != nil {
		t.Error(err)
	}
	if data, _ := os.ReadFile(other); string(data) != "mine" {
		t.Errorf("%q", data)
	}
}

// TestWatch: what is watched is drawn, one client at a time, for the guide's own pages alone.
func TestWatch(t *testing.T) {
	var failure error
	steps := []Step{
		{1, "blog.test", "HTTP/2", "GET", "blog.test", "/", 200, "ok", "first"},
		{1, "blog.test", "HTTP/2", "GET", "<api>.test", "/orders", 421, "certificate_mismatch", ""},
		{2, "api.test", "HTTP/2", "GET", "<api>.test", "/orders", 200, "", "the retry"},
	}
	h := New(Options{BasePath: "/g", Watch: func(context.Context) ([]Step, error) { return steps, failure }})
	if _, page := ask(t, h, "GET", "/g/421"); !strings.Contains(page, "Watch it happen") {
		t.Error("421 does not offer it")
	}
	if _, page := ask(t, h, "GET", "/g/404"); strings.Contains(page, "Watch it happen") {
		t.Error("404 offers it")
	}
	if _, page := ask(t, New(Options{}), "GET", "/421"); strings.Contains(page, "Watch it happen") {
		t.Error("421 offers it where there is nothing to watch")
	}
	w, page := ask(t, h, "POST", "/g/watch")
	checkMarkup(t, "watch", page)
	for _, want := range []string{"Connection 1<small>HTTP/2, opened for blog.test", "Connection 2<small>HTTP/2, opened for api.test",
		"GET /orders", "&lt;api&gt;.test", "Misdirected Request", "certificate_mismatch", "the retry"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if w.StatusCode != 200 || strings.Count(page, `<td class="used l`) != 3 || strings.Count(page, "<td") != 6 {
		t.Errorf("%d\n%s", w.StatusCode, page)
	}
	if flat := strings.Join(strings.Fields(page), " "); strings.Count(flat, `<th scope="row">3</th><td></td><td class="used l2">`) != 1 {
		t.Errorf("the retry is not drawn on the second connection:\n%s", flat)
	}
	if w, _ := ask(t, h, "GET", "/g/watch"); w.StatusCode != 303 || w.Header.Get("Location") != "/g/421#watch" {
		t.Errorf("GET: %d to %s", w.StatusCode, w.Header.Get("Location"))
	}
	if w, _ := ask(t, h, "PUT", "/g/watch"); w.StatusCode != 405 {
		t.Errorf("PUT: %d", w.StatusCode)
	}
	if w, _ := ask(t, h, "POST", "/g/watch", "Sec-Fetch-Site", "cross-site"); w.StatusCode != 403 {
		t.Errorf("from another site: %d", w.StatusCode)
	}
	failure = errors.New("no <gateway>")
	if w, body := ask(t, h, "POST", "/g/watch"); w.StatusCode != 500 || !strings.Contains(body, `no \u003cgateway\u003e`) {
		t.Errorf("a failure: %d %s", w.StatusCode, body)
	}
}

// TestWatchBusy: whoever comes while another client watches is asked to wait.
func TestWatchBusy(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	h := New(Options{Watch: func(context.Context) ([]Step, error) {
		begun <- true
		<-end
		return nil, nil
	}})
	done := make(chan int)
	go func() {
		w, _ := ask(t, h, "POST", "/watch")
		done <- w.StatusCode
	}()
	<-begun
	if w, _ := ask(t, h, "POST", "/watch"); w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" {
		t.Errorf("the second: %d", w.StatusCode)
	}
	close(end)
	if status := <-done; status != 200 {
		t.Errorf("the first: %d", status)
	}
}

// TestSubject: a page leads to the JSON and the command that say the same as it does.
func TestSubject(t *testing.T) {
	dir := t.TempDir()
	if _, err := Export(dir); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	_, list := ask(t, New(Options{}), "GET", "/")
	_, page := ask(t, New(Options{}), "GET", "/404")
	_, missing := ask(t, New(Options{}), "GET", "/520")
	for _, test := range []struct{ name, text, json, command string }{
		{"list", list, "api/codes", "usher status"},
		{"404", page, "api/codes/404", "usher status 404"},
		{"520", missing, "api/codes", "usher status"},
		{"index.html", file("index.html"), "api/codes.json", "usher status"},
		{"404.html", file("404.html"), "api/codes/404.json", "usher status 404"},
	} {
		if !strings.Contains(test.text, `<a href="`+test.json+`">JSON</a>`) || !strings.Contains(test.text, "<code>"+test.command+"</code>") {
			t.Errorf("%s has no link to %s, or not the command %q", test.name, test.json, test.command)
		}
	}
}
