package localca

import (
	"os/exec"
	"strings"
	"testing"
)

func TestTrustInstructions(t *testing.T) {
	tests := []struct {
		goos string
		want []string
	}{
		{"linux", []string{
			"sudo cp /srv/root.pem /usr/local/share/ca-certificates/usher-local-ca.crt", "update-ca-certificates --fresh",
			"/etc/pki/ca-trust/source/anchors/", "sudo update-ca-trust", "trust anchor --store /srv/root.pem", "trust anchor --remove /srv/root.pem",
			"-n usher-local-ca -t C,, -i /srv/root.pem", "certutil -D", "Firefox"}},
		{"darwin", []string{"security add-trusted-cert -d -r trustRoot", "security remove-trusted-cert -d /srv/root.pem", "security delete-certificate", "Firefox"}},
		{"windows", []string{"certutil -user -addstore Root '/srv/root.pem'", "Remove-Item", "$env:NODE_EXTRA_CA_CERTS = '/srv/root.pem'", "Firefox"}},
		{"plan9", []string{"the system's own way", "/srv/root.pem"}},
	}
	for _, test := range tests {
		t.Run(test.goos, func(t *testing.T) {
			text := TrustInstructions(test.goos, "/srv/root.pem")
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			for _, program := range []string{"curl", "Go ", "Node", "Python", "undo"} {
				if !strings.Contains(text, program) {
					t.Errorf("says nothing about %s", program)
				}
			}
			if strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
				t.Errorf("a text was not filled in:\n%s", text)
			}
		})
	}
}

func TestShellQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no POSIX shell on this machine")
	}
	for _, path := range []string{"/a/root.pem", "/with space/root.pem", "/it's/root.pem", "/$(id)/`id`/\"x\"", "-x", "", "~/x"} {
		out, err := exec.Command(sh, "-c", "printf %s "+shellQuote(path)).Output()
		if err != nil || string(out) != path {
			t.Errorf("the shell makes %q of %q (%v)", out, path, err)
		}
	}
	if got := powershellQuote("C:\\it's\\root.pem"); got != "'C:\\it''s\\root.pem'" {
		t.Errorf("powershellQuote: %s", got)
	}
}
