package imports

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/usher-http/usher"

// TestModule checks this module.
func TestModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the root of %s: %v", root, module, err)
	}
	pkgs, err := load(root, module)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 3 {
		t.Fatalf("found %d packages only", len(pkgs))
	}
	for _, line := range check(module, rules, pkgs) {
		t.Error(line)
	}
}

// TestRules checks the table itself.
func TestRules(t *testing.T) {
	for i, r := range rules {
		if r.why == "" {
			t.Errorf("the rule of %q has no reason", r.folder)
		}
		if first, _ := find(rules, strings.TrimSuffix(r.folder, "/...")); first.folder != r.folder {
			t.Errorf("rule %d (%q) can never apply: %q comes first", i, r.folder, first.folder)
		}
		for _, may := range r.may {
			target, ok := find(rules, strings.TrimSuffix(may, "/..."))
			if !ok {
				t.Errorf("the rule of %q names %q, which has none", r.folder, may)
			}
			if target.forTests && !r.forTests {
				t.Errorf("the rule of %q names %q, which is for tests", r.folder, may)
			}
		}
	}
}

// TestPlanted shows the checker one violation at a time.
func TestPlanted(t *testing.T) {
	m := module + "/"
	std := func(paths ...string) (deps []dep) {
		for _, path := range paths {
			deps = append(deps, dep{path, true})
		}
		return deps
	}
	foreign := func(path string) []dep { return append(std("fmt"), dep{path, false}) }
	tests := []struct {
		name string
		pkg  pkg
		want string // part of the one violation; "" for none
	}{
		{"authority as it should be", pkg{folder: "authority", imports: []string{"strings"}, deps: std("strings", "time"), testImports: []string{"time", m + "internal/testca"}}, ""},
		{"HTTP in authority", pkg{folder: "authority", imports: []string{"net/http"}}, "must not import net/http"},
		{"below HTTP in authority", pkg{folder: "authority", imports: []string{"net/http/httptrace"}}, "must not import net/http/httptrace"},
		{"TLS in authority", pkg{folder: "authority", imports: []string{"crypto/tls"}}, "must not import crypto/tls"},
		{"log in authority", pkg{folder: "authority", imports: []string{"log"}}, "must not import log"},
		{"slog in authority", pkg{folder: "authority", imports: []string{"log/slog"}}, "must not import log/slog"},
		{"time in authority", pkg{folder: "authority", imports: []string{"time"}}, "must not import time"},
		{"goroutine in authority", pkg{folder: "authority", goLines: []string{"a.go:7"}}, "must not start goroutines: a.go:7"},
		{"the guard in authority", pkg{folder: "authority", imports: []string{module}}, "must not import the root package"},
		{"foreign code in authority", pkg{folder: "authority", deps: foreign("example.test/x")}, "must not link example.test/x"},
		{"golang.org/x in authority", pkg{folder: "authority", deps: foreign("golang.org/x/net/idna")}, ""},
		{"look-alike of golang.org/x", pkg{folder: "authority", deps: foreign("golang.org/xy/z")}, "must not link golang.org/xy/z"},
		{"clock in originframe", pkg{folder: "originframe", imports: []string{"time"}}, "must not import time"},
		{"QUIC linked by the guard", pkg{folder: "", deps: foreign(quicGo + "/http3")}, "must not link " + quicGo + "/http3"},
		{"QUIC in the guard", pkg{folder: "", imports: []string{quicGo}}, "h3, probe and internal/gateway alone may"},
		{"QUIC linked by coalesce", pkg{folder: "coalesce", deps: foreign(quicGo)}, "must not link"},
		{"QUIC linked by the guide", pkg{folder: "statuscode", deps: foreign(quicGo)}, "must not link"},
		{"QUIC in the command line", pkg{folder: "internal/cli", imports: []string{quicGo}}, "alone may"},
		{"QUIC linked by the command line", pkg{folder: "internal/cli", imports: []string{m + "h3"}, deps: foreign(quicGo)}, ""},
		{"QUIC in h3", pkg{folder: "h3", imports: []string{module, m + "originframe", quicGo + "/http3"}, deps: foreign(quicGo)}, ""},
		{"the gateway in h3", pkg{folder: "h3", imports: []string{m + "internal/gateway"}}, "must not import internal/gateway"},
		{"a part of the gateway", pkg{folder: "internal/gateway/config", imports: []string{m + "internal/gateway/site", m + "authority", quicGo}}, ""},
		{"the prober in the command line", pkg{folder: "internal/cli", imports: []string{m + "probe", m + "internal/gateway/config"}}, ""},
		{"a test of the gateway that probes", pkg{folder: "internal/gateway/config", testImports: []string{m + "probe"}}, "not even in tests"},
		{"a test of the prober with a gateway", pkg{folder: "probe", testImports: []string{m + "internal/gateway"}}, "not even in tests"},
		{"the gateway in the guide's pages", pkg{folder: "statuscode/web", imports: []string{m + "internal/gateway"}}, "must not import internal/gateway"},
		{"foreign code beside keys", pkg{folder: "internal/localca", deps: foreign("golang.org/x/crypto/pkcs12")}, "must not link golang.org/x/crypto/pkcs12"},
		{"clock in the session", pkg{folder: "internal/h2", imports: []string{"time"}, clockLines: []string{"b.go:3"}}, "must not use the clock: b.go:3"},
		{"durations in the session", pkg{folder: "internal/h2", imports: []string{"time"}}, ""},
		{"sockets in the session", pkg{folder: "internal/h2", imports: []string{"net"}}, "must not import net"},
		{"sites in the session", pkg{folder: "internal/h2", imports: []string{m + "authority"}}, "must not import authority"},
		{"main past the command line", pkg{folder: "cmd/usher", imports: []string{m + "internal/gateway"}}, "must not import internal/gateway"},
		{"long main", pkg{folder: "cmd/usher", mainLines: 41}, "main.go of 41 lines"},
		{"main", pkg{folder: "cmd/usher", imports: []string{m + "internal/cli"}, mainLines: 40}, ""},
		{"new package", pkg{folder: "internal/helpers"}, "has no rule"},
		{"new package that begins alike", pkg{folder: "internal/gatewayx"}, "has no rule"},
		{"test helper on a test helper", pkg{folder: "internal/e2e", imports: []string{m + "internal/testca"}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := check(module, rules, []pkg{test.pkg})
			switch {
			case test.want == "" && len(found) > 0:
				t.Errorf("violations %q where there are none", found)
			case test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)):
				t.Errorf("violations %q, want one with %q", found, test.want)
			}
		})
	}
}

// TestPlantedTwice: some violations break two rules.
func TestPlantedTwice(t *testing.T) {
	found := check(module, rules, []pkg{
		{folder: "internal/gateway", imports: []string{module + "/internal/testca"}},
		{folder: "probe", imports: []string{module + "/internal/gateway"}},
	})
	for _, want := range []string{
		"internal/gateway must not import internal/testca (",
		"internal/gateway must not import internal/testca outside of tests",
		"probe must not import internal/gateway (",
		"probe must not import internal/gateway, not even in tests",
	} {
		if !slices.ContainsFunc(found, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("no %q in %q", want, found)
		}
	}
}

// TestLoad reads a small module and sees what a reader of it would.
func TestLoad(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":              "module example.test/m\n\ngo 1.26\n",
		"m.go":                "package m\n\nimport _ \"example.test/m/b\"\n",
		"b/b.go":              "package b\n\nimport clock \"time\"\n\nvar now = clock.Now\nvar day clock.Duration\n\nfunc f() {\n\tgo f()\n}\n",
		"b/b_elsewhere.go":    "//go:build never\n\npackage b\n\nimport _ \"example.test/other\"\n",
		"b/b_test.go":         "package b\n\nimport _ \"os\"\n",
		"b/bx_test.go":        "package b_test\n\nimport _ \"net\"\n",
		"c/main.go":           "package main\n\nfunc main() {\n}\n",
		"c/testdata/d/d.go":   "package d\n\nimport _ \"nonsense\"\n",
		"tools/go.mod":        "module example.test/tools\n",
		"tools/t.go":          "package tools\n",
		"_skipped/skipped.go": "package skipped\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pkgs, err := load(root, "example.test/m")
	if err != nil {
		t.Fatal(err)
	}
	byFolder := map[string]pkg{}
	for _, p := range pkgs {
		byFolder[p.folder] = p
	}
	if len(pkgs) != 3 {
		t.Fatalf("found %v, want the root, b and c", pkgs)
	}
	b, top := byFolder["b"], byFolder[""]
	for name, got := range map[string][]string{
		"imports: example.test/other time": b.imports,
		"tests: net os":                    b.testImports,
		"go: b.go:9":                       b.goLines,
		"clock: b.go:5":                    b.clockLines,
		"root: example.test/m/b":           top.imports,
	} {
		_, want, _ := strings.Cut(name, ": ")
		if strings.Join(got, " ") != want {
			t.Errorf("%s, but got %q", name, got)
		}
	}
	for _, want := range []dep{{"time", true}, {"runtime", true}, {"example.test/m/b", false}} {
		if !slices.Contains(top.deps, want) {
			t.Errorf("the root links %v, want %v among it", top.deps, want)
		}
	}
	if !slices.Contains(b.deps, dep{"example.test/other", false}) {
		t.Errorf("an import under a build tag is not linked: %v", b.deps)
	}
	if lines := byFolder["c"].mainLines; lines != 4 {
		t.Errorf("main.go has %d lines, want 4", lines)
	}
}

// TestLinksFarAway: a foreign package is seen behind another module's back.
func TestLinksFarAway(t *testing.T) {
	graph := linkGraph{
		"example.test/m/a": {Imports: []string{"example.test/x"}},
		"example.test/x":   {Imports: []string{"example.test/y", "fmt"}},
		"example.test/y":   {Imports: []string{"example.test/x", quicGo}},
		"fmt":              {Standard: true},
	}
	deps := graph.closure("example.test/m/a", nil)
	if !slices.Contains(deps, dep{quicGo, false}) || !slices.Contains(deps, dep{"fmt", true}) {
		t.Errorf("links %v", deps)
	}
}
