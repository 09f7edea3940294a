package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
)

// No file panics; what is refused has a place; what is accepted makes a table.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/bad.txtar", "testdata/hazards.txtar"} {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if filepath.Ext(file.Name) == ".yaml" {
				f.Add(string(file.Data))
			}
		}
	}
	files, _ := filepath.Glob("testdata/good/*.yaml")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("sites: [&a {hosts: [*a]}]")
	f.Add("a: \x80")
	f.Add("a: \x00")
	dir := newFolder(f)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := config.Parse(filepath.Join(dir, "usher.yaml"), []byte(text), config.Options{Now: clock})
		if err != nil {
			checkErrors(t, err, text)
			return
		}
		if _, err := authority.NewTable(options(l), sites(l)); err != nil {
			t.Errorf("a file without mistakes makes no table: %v", err)
		}
		for _, h := range l.Hazards {
			if h.Line < 1 || h.Column < 1 || h.Kind == "" || h.Message == "" {
				t.Errorf("hazard %+v has no place", h)
			}
		}
	})
}

func options(l *config.Loaded) authority.Options {
	o := authority.Options{Mode: l.Mode, DefaultSite: l.DefaultSite, UnknownNotFound: l.UnknownNotFound}
	for _, x := range l.Listeners {
		o.Listeners = append(o.Listeners, authority.Listener{Name: x.Name, Scheme: x.Scheme, Ports: x.Ports(x.Port)})
	}
	return o
}

func sites(l *config.Loaded) []authority.Site {
	var list []authority.Site
	for _, s := range l.Sites {
		site := authority.Site{
			Name: s.Name, Patterns: s.Patterns, Listeners: s.Listeners, Certificates: s.Names, ClientAuth: s.ClientAuth,
			MinVersion: s.MinVersion, OwnConnections: s.OwnConnections, PlainHTTP: s.PlainHTTP,
		}
		if len(s.ClientCAs) > 0 {
			site.ClientCAs = authority.CADigest{1}
		}
		list = append(list, site)
	}
	return list
}
