package testenv

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCaddy builds Caddy where it is asked for, so that it is there when the tests begin whose time is limited.
func TestCaddy(t *testing.T) {
	if !required(os.Getenv(RequireVar), "caddy") {
		t.Skipf("%s does not ask for caddy", RequireVar)
	}
	out, err := exec.Command("go", "version", "-m", Caddy(t)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), caddyVersion) {
		t.Errorf("%v: %s", err, out)
	}
}
