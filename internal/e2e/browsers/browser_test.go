package browsers

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

// A browser is one of the witnesses.
type browser struct {
	name     string
	programs []string // the first that is installed is taken
	database string   // where it looks for authorities, below its home
	// prepare writes what the browser reads at its start and returns the arguments before the address.
	prepare func(t testing.TB, home string, quic []string) (args []string)
}

var witnesses = []browser{
	{"Chromium", []string{"chromium", "chromium-browser", "google-chrome"}, ".pki/nssdb", prepareChromium},
	{"Firefox", []string{"firefox-esr", "firefox"}, "profile", prepareFirefox},
}

func (b browser) program(t testing.TB) string {
	t.Helper()
	return testenv.Browser(t, b.programs...)
}

// version is the first word with a digit that the browser says about itself.
func (b browser) version(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.program(t), "--version")
	cmd.Env = environment(t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s --version: %v", b.name, err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	t.Fatalf("%s --version says %q, which has no version", b.name, out)
	return ""
}

// A memory is what a browser knows before its visit.
type memory struct {
	ca     *testca.CA       // trusted for servers
	client *tls.Certificate // its own; nil for none
	quic   []string         // see prepareChromium
}

// newHome makes a home folder in which the browser trusts the authority and has the client certificate. Unlike t.TempDir it survives the last writes of
// a browser that is being killed.
func (b browser) newHome(t testing.TB, m memory) string {
	t.Helper()
	home, err := os.MkdirTemp("", "usher-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s could not be removed", home)
	})
	dir := filepath.Join(home, b.database)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "certutil", "-N", "-d", "sql:"+dir, "--empty-password")
	command(t, "certutil", "-A", "-d", "sql:"+dir, "-n", "root", "-t", "C,,", "-i", m.ca.WriteRoot(t, home, "root"))
	if m.client != nil {
		cert, key := testca.Write(t, home, "client", *m.client)
		parcel := filepath.Join(home, "client.p12")
		command(t, "openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-out", parcel, "-passout", "pass:parcel")
		command(t, "pk12util", "-i", parcel, "-d", "sql:"+dir, "-W", "parcel")
	}
	return home
}

func command(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), testenv.Browser(t, program), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// environment is a browser's: nothing of the machine's but the path of programs. A proxy in it would see the requests.
func environment(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "LANG=C.UTF-8", "MOZ_CRASHREPORTER_DISABLE=1"}
}

// prepareChromium forces HTTP/3 for the authorities in quic. Their hosts may then have roots that are not public ones, on
// other ports too; else Chromium follows no Alt-Svc to them.
func prepareChromium(_ testing.TB, home string, quic []string) []string {
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--no-proxy-server",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
		"--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND", // QUIC does not try a second address
		"--disable-default-apps", "--disable-extensions", "--password-store=basic",
		"--remote-debugging-port=0", "--user-data-dir=" + filepath.Join(home, "data"),
	}
	if quic != nil {
		args = append(args, "--origin-to-force-quic-on="+strings.Join(quic, ","))
	}
	return args
}

// prepareFirefox lets HTTP/3 come from Alt-Svc, under a root of one's own too.
func prepareFirefox(t testing.TB, home string, _ []string) []string {
	t.Helper()
	profile := filepath.Join(home, "profile")
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPrefs), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--headless", "--no-remote", "--profile", profile}
}

// Nothing is fetched that the page does not ask for, and no second connection is begun where a first one is slow.
const firefoxPrefs = `
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.newtabpage.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.policy.firstRunURL", "");
user_pref("extensions.systemAddon.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.http.connection-retry-timeout", 0);
user_pref("network.http.http3.disable_when_third_party_roots_found", false);
user_pref("network.proxy.type", 0);
user_pref("network.trr.mode", 5);
user_pref("security.default_personal_cert", "Select Automatically");
user_pref("security.OCSP.enabled", 0);
user_pref("services.settings.server", "data:,");
`
