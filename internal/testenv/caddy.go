package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Caddy is in no distribution that would be alike everywhere: it is built here, with the Go that usher is built with.
const (
	caddyPackage = "github.com/caddyserver/caddy/v2/cmd/caddy"
	caddyVersion = "v2.11.9"
)

// Caddy returns the path of Caddy's program. It is built once, which takes minutes, and kept in the user's folder for caches. Where it
// cannot be built, or the tests are to be short, the test is skipped, or fails when [RequireVar] asks for "caddy".
func Caddy(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "usher", "caddy-"+caddyVersion)
	path := filepath.Join(dir, "caddy")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	wanted := required(os.Getenv(RequireVar), "caddy")
	if testing.Short() && !wanted {
		t.Skip("Caddy takes minutes to build")
	}
	cmd := exec.Command("go", "install", "-trimpath", caddyPackage+"@"+caddyVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		if !wanted {
			t.Skipf("Caddy cannot be built here (%s=caddy makes this a failure): %v\n%s", RequireVar, err, out)
		}
		t.Fatalf("build Caddy: %v\n%s", err, out)
	}
	return path
}
