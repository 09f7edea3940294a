package imports

import (
	"fmt"
	"slices"
	"strings"
)

// pkg is what the checker knows of one package.
type pkg struct {
	folder      string   // relative to the module; "" is the root
	imports     []string // import paths in its files, for every system and build tag
	testImports []string // those of its tests, inside and outside of the package
	deps        []dep    // all that is linked because of it (without tests)
	goLines     []string // file:line of each go statement
	clockLines  []string // file:line of each call that asks for the time or waits
	mainLines   int      // lines of main.go
}

// dep is a package that another one links.
type dep struct {
	path     string
	standard bool
}

// inside tells whether a folder fits a pattern: equal, or below one that ends in "/...".
func inside(folder, pattern string) bool {
	top, tree := strings.CutSuffix(pattern, "/...")
	return folder == top || tree && strings.HasPrefix(folder, top+"/")
}

func insideAny(folder string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return inside(folder, p) })
}

func isQuic(path string) bool { return path == quicGo || strings.HasPrefix(path, quicGo+"/") }

// find returns the rule of a folder.
func find(rules []rule, folder string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return inside(folder, r.folder) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// checker collects the violations in a module.
type checker struct {
	module string
	rules  []rule
	found  []string
}

// check returns one line for each violation of the rules.
func check(module string, rules []rule, pkgs []pkg) []string {
	c := &checker{module: module, rules: rules}
	for _, p := range pkgs {
		r, ok := find(rules, p.folder)
		if !ok {
			c.found = append(c.found, fmt.Sprintf("%s has no rule: enter it in internal/imports/rules_test.go", c.name(p.folder)))
			continue
		}
		c.checkImports(p, r)
		c.checkTestImports(p)
		c.checkLinks(p, r)
		c.checkCode(p, r)
	}
	return c.found
}

func (c *checker) violation(p pkg, r rule, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s %s (%s)", c.name(p.folder), fmt.Sprintf(format, args...), r.why))
}

// name is what people call a package.
func (c *checker) name(folder string) string {
	if folder == "" {
		return "the root package"
	}
	return folder
}

// local returns the folder of an import path of this module.
func (c *checker) local(path string) (folder string, ok bool) {
	if path == c.module {
		return "", true
	}
	return strings.CutPrefix(path, c.module+"/")
}

func (c *checker) checkImports(p pkg, r rule) {
	for _, path := range p.imports {
		if insideAny(path, r.forbids) {
			c.violation(p, r, "must not import %s", path)
		}
		if isQuic(path) && !r.quic {
			c.violation(p, r, "must not import %s: h3, probe and internal/gateway alone may", path)
		}
		folder, ok := c.local(path)
		if !ok {
			continue
		}
		if !insideAny(folder, r.may) {
			c.violation(p, r, "must not import %s", c.name(folder))
		}
		if target, ok := find(c.rules, folder); ok && target.forTests && !r.forTests {
			c.violation(p, r, "must not import %s outside of tests: %s", folder, target.why)
		}
	}
}

// checkTestImports: tests may import what they like, with one exception.
func (c *checker) checkTestImports(p pkg) {
	for i, mine := range strangers {
		other := strangers[1-i]
		if !inside(p.folder, mine) {
			continue
		}
		for _, path := range slices.Concat(p.imports, p.testImports) {
			if folder, ok := c.local(path); ok && inside(folder, other) {
				c.found = append(c.found, fmt.Sprintf("%s must not import %s, not even in tests (they meet in end-to-end tests)", p.folder, folder))
			}
		}
	}
}

func (c *checker) checkLinks(p pkg, r rule) {
	for _, d := range p.deps {
		if _, ok := c.local(d.path); ok || d.standard || r.links == anything {
			continue
		}
		if r.links == extended && strings.HasPrefix(d.path, "golang.org/x/") {
			continue
		}
		c.violation(p, r, "must not link %s", d.path)
	}
}

func (c *checker) checkCode(p pkg, r rule) {
	if r.noGo {
		for _, line := range p.goLines {
			c.violation(p, r, "must not start goroutines: %s", line)
		}
	}
	if r.noClock {
		for _, line := range p.clockLines {
			c.violation(p, r, "must not use the clock: %s", line)
		}
	}
	if r.maxMain > 0 && p.mainLines > r.maxMain {
		c.violation(p, r, "has a main.go of %d lines, at most %d are allowed", p.mainLines, r.maxMain)
	}
}
