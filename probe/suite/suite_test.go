package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// The data is complete, and says nothing that the program does not know.
func TestCases(t *testing.T) {
	hosts := append([]string{"", "nobody"}, Hosts...)
	forms := []string{"", "upper", "dot", "port", "userinfo", "empty", "missing", "twice", "conflict", "absolute", "http"}
	answers := []string{"alert", "reset", "closed", "redirect", "resumed", "no-store", "no-alt-svc", "usable", "content:*", "content:unknown"}
	for _, host := range Hosts {
		answers = append(answers, "content:"+host)
	}
	seen := map[string]bool{}
	for _, c := range Cases() {
		if c.ID == "" || c.Title == "" || c.Reason == "" || c.RFC == "" || len(c.Protocols) == 0 || len(c.Expect.Right) == 0 || seen[c.ID] {
			t.Errorf("%q is not complete, or there twice", c.ID)
		}
		seen[c.ID] = true
		for _, host := range []string{c.Connection.SNI, c.Connection.Session, c.Request.Authority, c.Request.Second} {
			if !slices.Contains(hosts, host) {
				t.Errorf("%s: no host %q", c.ID, host)
			}
		}
		if !slices.Contains(forms, c.Request.Form) || !slices.Contains([]string{"", "upper"}, c.Connection.Form) || !slices.Contains([]string{"", "1.2", "1.3"}, c.Connection.TLS) ||
			!slices.Contains([]string{"", "no-store", "no-alt-svc", "usable"}, c.Request.Look) {
			t.Errorf("%s: unknown words in %+v", c.ID, c)
		}
		for _, list := range [][]string{c.Expect.Right, c.Expect.OverStrict, c.Expect.Wrong, c.Expect.Dangerous} {
			for _, word := range list {
				if !slices.Contains(answers, word) && (len(word) != 3 || strings.Trim(word, "0123456789") != "") {
					t.Errorf("%s: unknown answer %q", c.ID, word)
				}
			}
		}
	}
}

func TestExpect(t *testing.T) {
	e := Expect{Right: []string{"content:one", "alert"}, OverStrict: []string{"421"}, Wrong: []string{"404"}, Dangerous: []string{"content:*"}}
	for answer, want := range map[string]Verdict{"content:one": Right, "alert": Right, "421": OverStrict, "404": Wrong, "content:two": Dangerous, "content:unknown": Dangerous, "500": Wrong} {
		if got := e.Judge([]string{answer}); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	resumed := Expect{Right: []string{"content:blog"}, Wrong: []string{"resumed"}}
	if got := resumed.Judge([]string{"resumed", "content:blog"}); got != Wrong {
		t.Errorf("resumed: %s", got)
	}
	if got := resumed.Judge([]string{"content:blog"}); got != Right {
		t.Errorf("not resumed: %s", got)
	}
}

func TestDescribe(t *testing.T) {
	reply := func(status int, body string, fields ...[2]string) *probe.Observation {
		return &probe.Observation{Replies: []probe.Reply{{Answer: wire.Answer{Status: status, Body: []byte(body), Fields: fields}}}}
	}
	usable := reply(421, "")
	usable.Replies[0].After = &wire.Answer{Status: 200}
	resumed := reply(200, Content("one"))
	resumed.Replies[0].Facts.Resumed = true
	for _, test := range []struct {
		c    Case
		x    *probe.Observation
		want string
	}{
		{Case{}, &probe.Observation{Failure: wire.Alert}, "alert"},
		{Case{}, &probe.Observation{Replies: []probe.Reply{{Answer: wire.Answer{Failure: wire.Reset}}}}, "reset"},
		{Case{}, reply(200, Content("one")), "content:one"},
		{Case{}, reply(200, "usher suite: one"), "content:one"},
		{Case{}, reply(200, "welcome"), "content:unknown"},
		{Case{}, reply(308, ""), "redirect"},
		{Case{}, reply(421, ""), "421"},
		{Case{Connection: Connection{Session: "one"}}, resumed, "resumed content:one"},
		{Case{}, resumed, "content:one"},
		{Case{Request: Request{Look: "no-store"}}, reply(421, "", [2]string{"cache-control", "No-Store"}), "no-store"},
		{Case{Request: Request{Look: "no-store"}}, reply(421, ""), "421, not no-store"},
		{Case{Request: Request{Look: "no-store"}}, reply(200, ""), "no 421: 200"},
		{Case{Request: Request{Look: "no-alt-svc"}}, reply(421, ""), "no-alt-svc"},
		{Case{Request: Request{Look: "no-alt-svc"}}, reply(421, "", [2]string{"alt-svc", "x"}), "421, not no-alt-svc"},
		{Case{Request: Request{Look: "usable"}}, usable, "usable"},
		{Case{Request: Request{Look: "usable"}}, reply(421, ""), "421, not usable"},
	} {
		if got := strings.Join(describe(&test.c, test.x), " "); got != test.want {
			t.Errorf("%+v: %q, want %q", test.x.Replies, got, test.want)
		}
	}
}

func TestCount(t *testing.T) {
	list := func(verdicts ...Verdict) (all []Result) {
		for _, v := range verdicts {
			all = append(all, Result{Verdict: v})
		}
		return all
	}
	for _, test := range []struct {
		results []Result
		points  int
	}{
		{list(Right, Right), 100}, {list(Right, Skipped), 100}, {list(Right, OverStrict), 75}, {list(Right, Right, Wrong), 66},
		{list(Right, Right, Right, Dangerous), 50}, {list(Wrong), 0}, {list(Skipped), 0}, {nil, 0},
	} {
		if got := Count(test.results); got.Points != test.points {
			t.Errorf("%+v: %d points, want %d", got, got.Points, test.points)
		}
	}
}

func TestWrite(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	if err := Write(dir); err == nil {
		t.Error("a setup without certificates")
	}
	for _, leaf := range Leaves() {
		ca.WriteServer(t, dir, leaf.Name, leaf.Hosts...)
	}
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nginx.conf", "httpd.conf", "haproxy.cfg", "Caddyfile", "usher.yaml", "README.md", "haproxy-crt-list.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(text), "{{") || strings.Contains(string(text), "<no value>") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		for _, host := range Hosts {
			if !strings.Contains(string(text), Name(host)) {
				t.Errorf("%s does not have %s", name, host)
			}
		}
	}
}
