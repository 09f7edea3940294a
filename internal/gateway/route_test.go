package gateway

import (
	"testing"

	"github.com/usher-http/usher/internal/gateway/config"
)

func TestRoutes(t *testing.T) {
	var list []config.Route
	for _, path := range []string{"/api/", "/api/v2", "/static", "/both", "/both/", "/"} {
		list = append(list, config.Route{Path: path, Respond: &config.Respond{}})
	}
	rs, err := newRoutes(list, config.Timeouts{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/":            "/",
		"/x":           "/",
		"/api":         "/api/",
		"/api/":        "/api/",
		"/api/x":       "/api/",
		"/apix":        "/",
		"/api/v2":      "/api/v2",
		"/api/v2/":     "/api/v2",
		"/api/v2/x":    "/api/v2",
		"/api/v2x":     "/api/",
		"/static":      "/static",
		"/static/a":    "/static",
		"/statica":     "/",
		"/API/":        "/",
		"/both":        "/both",
		"/both/":       "/both/",
		"/both/x":      "/both/",
		"/x/api/":      "/",
		"/static/api/": "/static",
	} {
		at := rs.find(path)
		if at == nil || at.path != want {
			t.Errorf("%s goes to %v, want %s", path, at, want)
		}
	}
	none := &routes{list: rs.list[:2]}
	if at := none.find("/x"); at != nil {
		t.Errorf("/x goes to %v, want nothing", at.path)
	}
}

func TestCleanPath(t *testing.T) {
	for target, want := range map[string]string{
		"/":                  "/",
		"/a//b///c":          "/a/b/c",
		"//admin":            "/admin",
		"/.well-known/x":     "/.well-known/x",
		"/a/...":             "/a/...",
		"/a%2Fb":             "/a/b",
		"/a;b=c/d":           "/a;b=c/d",
		"/..":                "",
		"/../etc":            "",
		"/a/./b":             "",
		"/a/.":               "",
		"/a/..":              "",
		"/%2e%2e/etc":        "",
		"/a/%2E./b":          "",
		"/..%2fetc":          "",
		"/a%2f..%2fb":        "",
		"/a/..%5cb":          "",
		"/a\\..\\b":          "",
		"/..;/manager":       "",
		"/a/..;x=y/b":        "",
		"/a/.;/b":            "",
		"/%5c..%5cwindows":   "",
		"/a/%2e%2e%2f%2e%2e": "",
	} {
		path, ok := cleanPath(target)
		if ok != (want != "") || path != want {
			t.Errorf("%s gives %q, %v; want %q", target, path, ok, want)
		}
	}
	for _, target := range []string{"*", "", "x", "?", "http://host/", "/a b", "/a\x00", "/%zz", "/%", "/a#b", "/a?b#c", "/a\r\nb"} {
		if path, ok := cleanPath(target); ok {
			t.Errorf("%q is the path %q", target, path)
		}
	}
}
