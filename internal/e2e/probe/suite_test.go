package probe

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// What each server does not do right, with the configurations of the suite, from what its manual says (see the cases of TestServers).
// "verdict case,case protocol,protocol".
var suiteCases = []struct {
	name    string
	command func(t *testing.T, dir string) *exec.Cmd
	want    []string
}{
	{"nginx", func(t *testing.T, dir string) *exec.Cmd {
		return exec.Command(tool(t, "nginx"), "-p", dir, "-c", dir+"/nginx.conf")
	}, []string{
		"dangerous uncovered-blog-one,uncovered-one-blog,uncovered-one-a.wild,uncovered-a.wild-blog,unknown h1,h2",
		"wrong foreign-port,userinfo,http-inside-tls,resume-uncovered-12 h1,h2",
		"over-strict no-sni-staff,unknown-sni-staff h1,h2",               // 400: no required certificate was sent
		"wrong 421-no-store,421-no-alt-svc h1,h2", "wrong 421-usable h2", // since there is no 421
	}},
	{"apache", func(t *testing.T, dir string) *exec.Cmd {
		return exec.Command(tool(t, "apache2"), "-d", dir, "-f", dir+"/httpd.conf", "-DFOREGROUND")
	}, []string{
		"dangerous unknown h1,h2",
		"wrong foreign-port,http-inside-tls h1,h2",
		"over-strict one-on-staff h1,h2", // other SSL settings
		"wrong host-conflict,host-conflict-staff h2",
		"wrong 421-no-store h1,h2",
	}},
	{"haproxy", func(t *testing.T, dir string) *exec.Cmd {
		return exec.Command(tool(t, "haproxy"), "-db", "-f", dir+"/haproxy.cfg")
	}, []string{
		"dangerous uncovered-blog-one,uncovered-one-blog,uncovered-one-a.wild,uncovered-a.wild-blog h1,h2",
		"dangerous staff-on-one,staff-on-blog,staff-on-a.wild,no-sni-staff,unknown-sni-staff,resume-staff-12,resume-staff-13 h1,h2",
		"wrong userinfo,empty-host,missing-host h1,h2", "over-strict own-trailing-dot h1,h2", // the last rule: 404 for what is none of the hosts
		"over-strict unknown h1,h2", "wrong foreign-port,http-inside-tls,resume-uncovered-12 h1,h2",
		"wrong host-conflict,host-conflict-staff h2", "over-strict absolute-form,absolute-form-staff h1",
		"wrong 421-no-store,421-no-alt-svc h1,h2", "wrong 421-usable h2",
	}},
	{"caddy", func(t *testing.T, dir string) *exec.Cmd {
		return exec.Command(testenv.Caddy(t), "run", "--adapter", "caddyfile", "--config", dir+"/Caddyfile")
	}, []string{
		"over-strict reuse-one-two,reuse-two-one,reuse-a.wild-b.wild,one-on-staff,own-trailing-dot h1,h2,h3",
		"wrong foreign-port,http-inside-tls h1,h2,h3", "wrong resume-uncovered-12 h1,h2",
		"over-strict absolute-form h1", "wrong 421-no-store h1,h2,h3", "wrong 421-no-alt-svc h1,h2",
	}},
	{"usher", func(t *testing.T, dir string) *exec.Cmd {
		return exec.Command(testenv.UsherBinary(t), "serve", "-c", dir+"/usher.yaml")
	}, nil},
}

func TestSuite(t *testing.T) {
	for _, test := range suiteCases {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "setup")
			if _, code := run(t, "/", testenv.UsherBinary(t), "probe", "--suite-setup", dir); code != 0 {
				t.Fatal("no setup")
			}
			c := &cast{dir: dir, first: "one.suite.test"}
			c.own(t)
			s := c.launchSuite(t, func() *exec.Cmd { return test.command(t, dir) })
			out, code := run(t, dir, testenv.UsherBinary(t), "probe", "--suite", dir, "--connect", ":::"+s.port, "--timeout", "1m", "--target-rate", "0", "--concurrency", "4", "--json")
			var want []string
			for _, text := range test.want {
				parts := strings.Fields(text)
				for _, id := range strings.Split(parts[1], ",") {
					for _, proto := range strings.Split(parts[2], ",") {
						want = append(want, parts[0]+" "+id+" "+proto)
					}
				}
			}
			got := notRight(t, out)
			for _, line := range want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, line+":") }) {
					t.Errorf("expected, but not found: %s", line)
				}
			}
			for _, line := range got {
				brief, _, _ := strings.Cut(line, ":")
				if !slices.Contains(want, brief) {
					t.Errorf("not expected: %s", line)
				}
			}
			if (code == 0) != (len(want) == 0) {
				t.Errorf("exit %d", code)
			}
			s.witnessSuite(t, want)
		})
	}
}

// notRight are the cases that are not right, with their answers.
func notRight(t *testing.T, out string) (list []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var r struct {
			Type, ID, Protocol, Verdict string
			Answer                      []string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Type == "case" && r.Verdict != "right" && r.Verdict != "skipped" {
			list = append(list, fmt.Sprintf("%s %s %s: %s", r.Verdict, r.ID, r.Protocol, strings.Join(r.Answer, " ")))
		}
	}
	_, score, ok := strings.Cut(out, `"type":"score",`)
	if !ok {
		t.Fatalf("no score in\n%s", out)
	}
	t.Logf("score: %s", strings.TrimSpace(score))
	return list
}

// launchSuite starts a server of the suite on another port than the configurations say, so that tests do not meet.
func (c *cast) launchSuite(t *testing.T, command func() *exec.Cmd) *server {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	last := "8443"
	return c.launch(t, func(port string) *exec.Cmd {
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil || strings.HasSuffix(file, ".pem") || strings.HasSuffix(file, ".key") {
				continue
			}
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), last, port)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		last = port
		cmd := command()
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
		return cmd
	})
}
