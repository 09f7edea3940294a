package testenv

import (
	"os"
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
	path, there := cached(t, "caddy", caddyVersion)
	if !there && testing.Short() && !required(os.Getenv(RequireVar), "caddy") {
		t.Skip("Caddy takes minutes to build")
	}
	if !there {
		install(t, path, caddyPackage, caddyVersion)
	}
	return path
}
