// Package testenv is what tests need to know of the machine they run on: tools that are not part of Go, and
// the built usher.
package testenv

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// RequireVar is the environment variable that turns a missing tool from a skip into a failure: "all", or
// names with commas between them. CI sets it to all, so that no test is silently left out there.
const RequireVar = "USHER_REQUIRE"

// Tool returns the path of a program. Where there is none, it skips the test, or fails it when [RequireVar]
// asks for the program.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if required(os.Getenv(RequireVar), name) {
		t.Fatalf("%s is needed, because %s is %q: %v", name, RequireVar, os.Getenv(RequireVar), err)
	}
	t.Skipf("%s is not installed (%s=all makes this a failure): %v", name, RequireVar, err)
	return ""
}

// Browser returns the path of a browser, or of what sets one up, of which there may be several names: the first that is
// installed counts. Where there is none, it skips the test, or fails it when [RequireVar] asks for "browsers".
func Browser(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	what := strings.Join(names, " or ")
	if required(os.Getenv(RequireVar), "browsers") {
		t.Fatalf("%s is needed, because %s is %q", what, RequireVar, os.Getenv(RequireVar))
	}
	t.Skipf("%s is not installed (%s=browsers makes this a failure)", what, RequireVar)
	return ""
}

func required(list, name string) bool {
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "all" || entry == name {
			return true
		}
	}
	return false
}
