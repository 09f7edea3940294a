//go:build linux

package benchproxy

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// contenders makes the list that the flags ask for: usher and the further builds of it first.
func contenders(t *testing.T) []contender {
	t.Helper()
	var all []contender
	usher := func(name, path, unversioned string) {
		all = append(all, contender{name: name, kind: "usher", program: path, file: "usher.yaml", form: usherForm, version: goVersion(t, path, unversioned)})
	}
	names := list(*contFlag)
	for _, u := range usherFlags {
		usher(u.name, u.path, filepath.Base(u.path))
	}
	if slices.Contains(names, "usher") && !slices.ContainsFunc(all, func(c contender) bool { return c.name == "usher" }) {
		usher("usher", testenv.UsherBinary(t), "of this tree")
	}
	for _, name := range names {
		switch name {
		case "usher":
		case "nginx":
			path := lookPath(t, "nginx")
			all = append(all, contender{name: name, kind: name, program: path, file: "nginx.conf", form: nginxForm,
				version: versionOf(t, path, "-v", `nginx/(\S+)`)})
		case "haproxy":
			path := lookPath(t, "haproxy")
			all = append(all, contender{name: name, kind: name, program: path, file: "haproxy.cfg", form: haproxyForm,
				version: versionOf(t, path, "-v", `version (\S+)`)})
		case "caddy":
			fmt.Println("Caddy is built, unless it was before (a few minutes)")
			path := testenv.Caddy(t)
			all = append(all, contender{name: name, kind: name, program: path, file: "Caddyfile", form: caddyForm, version: goVersion(t, path, "(devel)")})
		default:
			t.Fatalf("-contenders: there is no %q; hint: usher, nginx, haproxy, caddy", name)
		}
	}
	if len(all) == 0 {
		t.Fatal("-contenders: nobody is left")
	}
	return all
}

// lookPath looks where only root's PATH leads, too.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatalf("%s is not installed; hint: tools/setup.sh %s", name, name)
	return ""
}

func versionOf(t *testing.T, path, flag, pattern string) string {
	t.Helper()
	out, err := exec.Command(path, flag).CombinedOutput()
	found := regexp.MustCompile(pattern).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("%s %s: %v\n%s", path, flag, err, out)
	}
	return string(found[1])
}

// goVersion is the version of the main module and of Go that a program was built with; what is built from a tree is unversioned.
func goVersion(t *testing.T, path, unversioned string) string {
	t.Helper()
	out, err := exec.Command("go", "version", "-m", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%s is no Go program: %v\n%s", path, err, out)
	}
	if strings.Contains(string(out), "-race=true") {
		t.Fatalf("%s was built with the race detector; hint: go test without -race", path)
	}
	goWord := regexp.MustCompile(`: (go\S+)`).FindSubmatch(out)
	module := regexp.MustCompile(`(?m)^\tmod\t\S+\t(\S+)`).FindSubmatch(out)
	if goWord == nil || module == nil {
		t.Fatalf("go version -m %s says\n%s", path, out)
	}
	return fmt.Sprintf("%s (%s)", strings.NewReplacer("(devel)", unversioned).Replace(string(module[1])), goWord[1])
}
