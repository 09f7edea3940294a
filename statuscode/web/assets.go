package web

import (
	"embed"
	"path"
)

//go:embed static
var static embed.FS

// An assetFile is a style sheet, a script or a picture.
type assetFile struct {
	mediaType string
	body      []byte
}

var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

var assets = func() map[string]*assetFile {
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(err) // they are part of the program
	}
	m := map[string]*assetFile{}
	for _, e := range entries {
		body, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		m[e.Name()] = &assetFile{mediaTypes[path.Ext(e.Name())], body}
	}
	return m
}()

// asset returns a file by its name, nil where there is none.
func asset(name string) *assetFile { return assets[name] }
