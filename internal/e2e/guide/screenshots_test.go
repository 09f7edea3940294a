package guide

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var screenshots = flag.String("screenshots", "", "folder to write pictures of the main views to")

// TestScreenshots takes the pictures of docs/status: see `make screenshots`.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots DIR takes pictures")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	base := serve(t)
	for _, s := range []struct {
		name, path string
		view       view
		do         string // what happens before the picture
	}{
		{"list", "", desk, ""},
		{"list-dark", "", night, ""},
		{"list-phone", "", phone, ""},
		{"search", "?q=redirct", desk, ""},
		{"code", "421", view{width: 1280, height: 1500}, ""},
		{"code-dark", "404", view{width: 1280, height: 1500, dark: true}, ""},
		{"code-phone", "421", phone, ""},
		{"example", "103", desk, `document.querySelector("#examples").scrollIntoView()`},
		{"watch", "421", view{width: 1280, height: 1020}, `document.querySelector("#watch button").click()`},
		{"watch-phone", "421", phone, `document.querySelector("#watch button").click()`},
	} {
		p := b.newPage(s.view)
		p.open(base + s.path)
		if s.do != "" {
			p.eval(s.do, nil)
		}
		if s.name == "watch" || s.name == "watch-phone" {
			p.until(`document.querySelector("#watched table")`)
			p.eval(`document.querySelector("#watch").scrollIntoView()`, nil)
		}
		p.shoot(filepath.Join(*screenshots, s.name+".png"))
		p.close()
	}
}
