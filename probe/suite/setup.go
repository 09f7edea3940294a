package suite

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Port is where the configurations of the setup listen, on loopback.
const Port = 8443

// A Leaf is a certificate that the setup needs, for NAME.pem and NAME.key.
type Leaf struct {
	Name  string
	Hosts []string
}

// Leaves are the certificates of the server.
func Leaves() []Leaf {
	return []Leaf{
		{"shared", []string{Name("one"), Name("two"), Name("staff")}},
		{"blog", []string{Name("blog")}},
		{"wild", []string{"*.wild.suite.test"}},
	}
}

//go:embed setup/*
var setupFiles embed.FS

// A setupHost is what the configurations say of a host.
type setupHost struct {
	Name, Content, Leaf string
	Locked              bool
}

// Write writes the configurations, the pages and a README into a folder that has the certificates: ca.pem, clients.pem, and NAME.pem, NAME.key
// of each leaf.
func Write(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	data := struct {
		Dir   string
		Port  int
		Hosts []setupHost
	}{Dir: dir, Port: Port}
	for _, host := range Hosts {
		h := setupHost{Name(host), strings.TrimSpace(Content(host)), leafOf(host), host == "staff"}
		data.Hosts = append(data.Hosts, h)
		page := filepath.Join(dir, "www", h.Name, "index.txt")
		if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(page, []byte(Content(host)), 0o644); err != nil {
			return err
		}
	}
	for _, leaf := range Leaves() {
		if err := join(dir, leaf.Name); err != nil {
			return err
		}
	}
	return fs.WalkDir(setupFiles, "setup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		t, err := template.ParseFS(setupFiles, path)
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, data); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, d.Name()), []byte(b.String()), 0o644)
	})
}

func leafOf(host string) string {
	switch {
	case strings.HasSuffix(host, ".wild"):
		return "wild"
	case host == "blog":
		return "blog"
	}
	return "shared"
}

// join puts certificate and key into one file, as HAProxy wants them.
func join(dir, name string) error {
	var all []byte
	for _, end := range []string{".pem", ".key"} {
		part, err := os.ReadFile(filepath.Join(dir, name+end))
		if err != nil {
			return fmt.Errorf("the setup needs its certificates first: %w", err)
		}
		all = append(all, part...)
	}
	return os.WriteFile(filepath.Join(dir, name+"-both.pem"), all, 0o600)
}
