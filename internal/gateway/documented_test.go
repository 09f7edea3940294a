package gateway

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func operating(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/operating.md has every metric with its labels, and none that is not there.
func TestMetricsAreDocumented(t *testing.T) {
	var have []string
	described := make(chan *prometheus.Desc, 1000)
	newMetrics("").registry.Describe(described)
	close(described)
	form := regexp.MustCompile(`fqName: "(usher_[a-z_]+)".*variableLabels: \{([a-z_,]*)\}`)
	for d := range described {
		if m := form.FindStringSubmatch(d.String()); m != nil {
			name := m[1]
			if m[2] != "" {
				name += "{" + m[2] + "}"
			}
			have = append(have, name)
		}
	}
	_, list, _ := strings.Cut(operating(t), "`GET /metrics` on the admin listener:")
	list, _, _ = strings.Cut(list, "\n\n")
	var told []string
	for _, m := range regexp.MustCompile("`(usher_[a-z_]+(?:\\{[a-z_,]+\\})?)`").FindAllStringSubmatch(list, -1) {
		if !slices.Contains(told, m[1]) {
			told = append(told, m[1])
		}
	}
	slices.Sort(have)
	slices.Sort(told)
	if len(have) < 10 {
		t.Fatalf("the gateway has %q: the test does not see them", have)
	}
	for _, name := range have {
		if bare, _, labels := strings.Cut(name, "{"); !slices.Contains(told, name) && (!labels || !slices.Contains(told, bare)) {
			t.Errorf("docs/operating.md lacks %s", name)
		}
	}
	for _, name := range told {
		if !slices.ContainsFunc(have, func(h string) bool { return h == name || strings.HasPrefix(h, name+"{") }) {
			t.Errorf("docs/operating.md has %s, which there is not", name)
		}
	}
}

// So it has the fields of a line of the access log.
func TestLogFieldsAreDocumented(t *testing.T) {
	r := newFolder(t).start(t, basic)
	c := r.client(t, "h2", "tls", "a.test.example")
	c.get(t, "a.test.example", "/").want(t, 200, "site a")
	c.get(t, "own.test.example", "/").want(t, 421, "")
	line := r.log.wait(t, "msg", "request", "status", "421")
	text := operating(t)
	for name := range line {
		if name == "time" || name == "level" || name == "msg" {
			continue
		}
		if !regexp.MustCompile("`[a-z_ ]*\\b" + name + "\\b[a-z_ ]*`").MatchString(text) {
			bare, _ := json.Marshal(line)
			t.Errorf("docs/operating.md lacks the field %q of %s", name, bare)
		}
	}
}
