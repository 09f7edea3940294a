package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-http/usher/probe"
)

// An element is what the format lets stand in one. Nobody owns the format; these are the rules that Jenkins' schema (junit-10.xsd of its xUnit
// plugin) and its readers have in common. Counts are whole numbers, times are seconds.
type element struct {
	must, may []string // attributes
	children  []string
	text      bool
}

var junitRules = map[string]element{
	"testsuites": {nil, []string{"name", "time", "tests", "failures", "errors"}, []string{"testsuite"}, false},
	"testsuite": {[]string{"name", "tests", "failures", "errors"}, []string{"time", "skipped", "timestamp", "hostname", "id", "package"},
		[]string{"properties", "testcase", "system-out", "system-err"}, false},
	"testcase":   {[]string{"name"}, []string{"classname", "time"}, []string{"skipped", "error", "failure", "system-out", "system-err"}, false},
	"failure":    {nil, []string{"message", "type"}, nil, true},
	"error":      {nil, []string{"message", "type"}, nil, true},
	"skipped":    {nil, []string{"message", "type"}, nil, true},
	"system-out": {nil, nil, nil, true},
	"system-err": {nil, nil, nil, true},
}

var (
	count   = regexp.MustCompile(`^[0-9]+$`)
	seconds = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

// A node is an element as it was read.
type node struct {
	name     string
	attrs    map[string]string
	children []*node
}

func readJUnit(text []byte) (*node, error) {
	root := &node{}
	open := []*node{root}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := open[len(open)-1]
		switch x := token.(type) {
		case xml.StartElement:
			n := &node{x.Name.Local, map[string]string{}, nil}
			for _, a := range x.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			at.children, open = append(at.children, n), append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if strings.TrimSpace(string(x)) != "" && !junitRules[at.name].text {
				return nil, fmt.Errorf("text in %s: %q", at.name, x)
			}
		}
	}
	if len(root.children) != 1 || root.children[0].name != "testsuites" {
		return nil, errors.New("the root is not testsuites")
	}
	return root.children[0], nil
}

// check tells what is wrong with an element and what is in it.
func (n *node) check() (wrong []string) {
	rule := junitRules[n.name]
	for _, name := range rule.must {
		if n.attrs[name] == "" {
			wrong = append(wrong, n.name+" without "+name)
		}
	}
	for name, value := range n.attrs {
		switch {
		case !slices.Contains(rule.must, name) && !slices.Contains(rule.may, name):
			wrong = append(wrong, n.name+" has "+name)
		case slices.Contains([]string{"tests", "failures", "errors", "skipped"}, name) && !count.MatchString(value), name == "time" && !seconds.MatchString(value):
			wrong = append(wrong, fmt.Sprintf("%s: %s is %q", n.name, name, value))
		}
	}
	for _, c := range n.children {
		if !slices.Contains(rule.children, c.name) {
			wrong = append(wrong, c.name+" in "+n.name)
		}
		wrong = append(wrong, c.check()...)
	}
	return append(wrong, n.counted()...)
}

// counted compares the counts of suites with what is in them, and looks for cases that readers would take for one.
func (n *node) counted() (wrong []string) {
	if !strings.HasPrefix(n.name, "testsuite") {
		return nil
	}
	got, names := map[string]int{"tests": 0, "failures": 0, "errors": 0, "skipped": 0}, map[string]bool{}
	n.walk(func(c *node) {
		switch c.name {
		case "testcase":
			got["tests"]++
			key := c.attrs["classname"] + " " + c.attrs["name"]
			if names[key] {
				wrong = append(wrong, "twice: "+key)
			}
			names[key] = true
		case "failure":
			got["failures"]++
		case "error":
			got["errors"]++
		case "skipped":
			got["skipped"]++
		}
	})
	for _, what := range slices.Sorted(maps.Keys(got)) {
		if value, ok := n.attrs[what]; ok && strconv.Itoa(got[what]) != value {
			wrong = append(wrong, fmt.Sprintf("%s %q: %s is %s, and there are %d", n.name, n.attrs["name"], what, n.attrs[what], got[what]))
		}
	}
	return wrong
}

func (n *node) walk(f func(*node)) {
	for _, c := range n.children {
		f(c)
		c.walk(f)
	}
}

// hostile is text that tries to break out of XML, or has no place in it (XML 1.0 section 2.2).
const hostile = "\x00\x01\x1b[2J\x7f\u0085\u202e\ufffe\uffff\xff ]]> <![CDATA[ <!-- --> &amp; &#0; \" ' < > \r\n\t <?xml?> \U0001f6aa"

func hostileSample() *probe.Report {
	r := sample()
	for i := range r.Hosts {
		r.Hosts[i].Name += hostile
		if r.Hosts[i].Unreachable != "" {
			r.Hosts[i].Unreachable += hostile
		}
	}
	for i := range r.Pairs {
		r.Pairs[i].Host, r.Pairs[i].Connection = r.Pairs[i].Host+hostile, r.Pairs[i].Connection+hostile
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, text := range []*string{&f.Sent, &f.Got, &f.Why, &f.RFC, &f.Cure, &f.Key} {
			*text += hostile
		}
	}
	return r
}

// withAndWithout is a pair that was asked for with a client certificate and without one.
func withAndWithout() *probe.Report {
	r := sample()
	again := r.Pairs[0]
	again.Certificate = true
	r.Pairs = append(r.Pairs, again)
	return r
}

// What the probe cannot tell is neither passed nor left out: it may be the bypass that somebody looks for.
func TestJUnitUnsure(t *testing.T) {
	r := sample()
	unsure := r.Pairs[2]
	unsure.Outcome = probe.CannotTell
	r.Pairs = append(r.Pairs, unsure, unsure) // by sessions of two versions of TLS, say
	var b bytes.Buffer
	if err := JUnit(&b, r, probe.Info, true); err != nil {
		t.Fatal(err)
	}
	root, err := readJUnit(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range root.check() {
		t.Error(wrong)
	}
	if n := strings.Count(b.String(), `<skipped message="cannot tell`); n != 1 || root.children[1].attrs["skipped"] != "1" {
		t.Errorf("%d skipped, in the suite %q:\n%s", n, root.children[1].attrs["skipped"], b.String())
	}
}

// TestJUnitFormat holds what is written against the format's rules.
func TestJUnitFormat(t *testing.T) {
	for name, r := range map[string]*probe.Report{"a report": sample(), "an empty one": {}, "hostile names": hostileSample(), "pairs twice": withAndWithout()} {
		for _, fails := range []bool{true, false} {
			var b bytes.Buffer
			if err := JUnit(&b, r, probe.Info, fails); err != nil {
				t.Fatal(err)
			}
			root, err := readJUnit(b.Bytes())
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, b.String())
			}
			for _, wrong := range root.check() {
				t.Errorf("%s: %s", name, wrong)
			}
			for _, c := range b.String() {
				if !inXML(c) {
					t.Errorf("%s: %q in XML", name, c)
				}
			}
			if strings.Contains(b.String(), "]]>") || strings.Contains(b.String(), "<!") {
				t.Errorf("%s: markup that is not ours:\n%s", name, b.String())
			}
		}
	}
}

// inXML reports whether a character may stand in XML 1.0 (section 2.2).
func inXML(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c <= 0xd7ff || c >= 0xe000 && c <= 0xfffd || c >= 0x10000
}

// The checker sees what is wrong.
func TestJUnitRules(t *testing.T) {
	const good = `<testsuites><testsuite name="a" tests="1" failures="1" errors="0"><testcase name="b"><failure message="c">d</failure></testcase></testsuite></testsuites>`
	for _, test := range []struct{ from, to string }{
		{`<testsuites>`, `<testsuites version="1">`}, {`tests="1"`, `tests="2"`}, {`tests="1"`, `tests="one"`}, {` errors="0"`, ``}, {`<testcase name="b">`, `<testcase>`},
		{`<failure message="c">d</failure>`, ``}, {`<failure message="c">d</failure>`, `<passed/>`}, {`<failure message="c">d</failure>`, `<error/>`},
		{`name="a"`, `name="a" time="1,5 s"`}, {`<testcase `, `text<testcase `}, {`<testcase name="b">`, `<testcase name="b"/><testcase name="b">`},
		{`<testsuites>`, `<testsuites>` + "\x00"}, {`testsuites>`, `suites>`}, {"", ""},
	} {
		root, err := readJUnit([]byte(strings.ReplaceAll(good, or(test.from, "-"), test.to)))
		if right := err == nil && len(root.check()) == 0; right != (test.from == "") {
			t.Errorf("%s in place of %s: %v", test.to, test.from, err)
		}
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
