package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// gatewayOf returns the configuration that README.md shows.
func gatewayOf(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n# usher.yaml\n")
	config, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("README.md shows no usher.yaml")
	}
	return config
}

// TestReadmeGateway does what README.md says about the gateway: its file passes check, explain explains, serve serves it, and
// curl trusts it with the exported root. Only the ports are left to the system.
func TestReadmeGateway(t *testing.T) {
	t.Parallel()
	curl, bin := testenv.Tool(t, "curl"), testenv.UsherBinary(t)
	config := gatewayOf(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "usher.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := command(t, dir, "", bin, "check"); code != 0 {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}
	out, errs, code := command(t, dir, "", bin, "explain", "--sni", "shop.localhost", "--host", "pay.localhost")
	if code != 1 || !strings.Contains(out, "421 certificate_mismatch") {
		t.Errorf("explain: exit %d\n%s%s", code, out, errs)
	}
	s := serve(t, dir, regexp.MustCompile(`127\.0\.0\.1:(8443|8080|8421)`).ReplaceAllString(config, "127.0.0.1:0"))
	if out, errs, code := command(t, dir, "", bin, "ca", "export", "--out", "root.pem"); code != 0 {
		t.Fatalf("ca export: exit %d\n%s%s", code, out, errs)
	}
	port := s.port(t, "public")
	resolve := "shop.localhost:" + port + ":127.0.0.1"
	out, errs, code = command(t, dir, "", curl, "-sS", "--resolve", resolve, "--cacert", "root.pem", "https://shop.localhost:"+port+"/")
	if code != 0 || out != "hello from the shop\n" {
		t.Errorf("curl: exit %d, %q\n%s", code, out, errs)
	}
}
