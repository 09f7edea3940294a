package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testenv"
)

// openssl runs s_client, which asks for shop.test over HTTP/1.1 and ends, and returns all that it prints.
func (s *stage) openssl(t testing.TB, args ...string) string {
	t.Helper()
	return s.opensslFor(t, "shop.test", args...)
}

// opensslFor asks for another host.
func (s *stage) opensslFor(t testing.TB, host string, args ...string) string {
	t.Helper()
	program := testenv.Tool(t, "openssl")
	args = append([]string{"s_client", "-connect", s.at(t, "public"), "-CAfile", "ca.pem", "-ign_eof"}, args...)
	request := s.text(t, "GET / HTTP/1.1\r\nHost: "+host+":PORT\r\nConnection: close\r\n\r\n")
	out, errs, _ := command(t, s.cast.dir, request, program, args...)
	return out + errs
}

var (
	opensslSession = regexp.MustCompile(`(?m)^(New|Reused), TLSv1\.[23], Cipher is [A-Z]`)
	opensslStatus  = regexp.MustCompile(`HTTP/1\.1 (\d{3}) `) // in the middle of a line, where the dump of a session goes on
	opensslAlert   = regexp.MustCompile(`SSL alert number (\d+)`)
)

// opensslOutcome is what s_client printed in short: "New 200", "Reused 200", or the alert.
func opensslOutcome(out string) string {
	if m := opensslAlert.FindStringSubmatch(out); m != nil {
		return "alert " + m[1]
	}
	session, status := opensslSession.FindStringSubmatch(out), opensslStatus.FindStringSubmatch(out)
	if session == nil || status == nil {
		return "neither session nor status in:\n" + out
	}
	return session[1] + " " + status[1]
}

// The alerts, as numbers (RFC 8446 section 6), because OpenSSL has several words for some.
const (
	alertHandshake = "alert 40"  // handshake_failure: TLS 1.2 has none for a certificate that is missing
	alertName      = "alert 112" // unrecognized_name
	alertCert      = "alert 116" // certificate_required
)

// TestOpenSSLResumption: "A ticket opens what it was made under, and nothing else" (docs/design.md), with a client that
// offers its ticket wherever it is told to.
func TestOpenSSLResumption(t *testing.T) {
	t.Parallel()
	testenv.Tool(t, "openssl")
	s := play(t, "default_site: shop", "")
	alice := []string{"-cert", "alice.pem", "-key", "alice.key"}
	tests := []struct {
		name     string
		version  string
		from, to string
		with     []string // beside both
		withTo   []string // beside the second alone
		want     string   // of the second
	}{
		{name: "the same site", version: "1.3", from: "shop.test", to: "shop.test", want: "Reused 200"},
		{name: "the same site", version: "1.2", from: "shop.test", to: "shop.test", want: "Reused 200"},
		{name: "the same host in another case", version: "1.3", from: "shop.test", to: "SHOP.Test", want: "Reused 200"},
		// RFC 8446 section 4.2.11: "In TLS 1.3, the SNI value is always explicitly specified in the resumption handshake, and there is no
		// need for the server to associate an SNI value with the ticket."
		{name: "another host of the site", version: "1.3", from: "shop.test", to: "www.shop.test", want: "Reused 200"},
		// RFC 6066 section 3: "A server that implements this extension MUST NOT accept the request to resume the session if the
		// server_name extension contains a different name."
		{name: "another host of the site", version: "1.2", from: "shop.test", to: "www.shop.test", want: "New 200"},
		{name: "another site with the certificate", version: "1.3", from: "shop.test", to: "api.test", want: "New 200"},
		{name: "another site with the certificate", version: "1.2", from: "shop.test", to: "api.test", want: "New 200"},
		{name: "another certificate", version: "1.3", from: "blog.test", to: "shop.test", want: "New 200"},
		{name: "another certificate", version: "1.2", from: "blog.test", to: "shop.test", want: "New 200"},
		{name: "client authentication, passed again", version: "1.3", from: "staff.test", to: "staff.test", with: alice, want: "Reused 200"},
		{name: "client authentication, passed again", version: "1.2", from: "staff.test", to: "staff.test", with: alice, want: "Reused 200"},
		{name: "into client authentication with a certificate", version: "1.3", from: "shop.test", to: "staff.test", withTo: alice, want: "New 200"},
		{name: "into client authentication with a certificate", version: "1.2", from: "shop.test", to: "staff.test", withTo: alice, want: "New 200"},
		{name: "into client authentication without", version: "1.3", from: "shop.test", to: "staff.test", want: alertCert},
		{name: "into client authentication without", version: "1.2", from: "shop.test", to: "staff.test", want: alertHandshake},
		{name: "into upper-case client authentication without", version: "1.3", from: "shop.test", to: "STAFF.TEST", want: alertCert},
		{name: "into optional client authentication", version: "1.3", from: "shop.test", to: "members.test", want: "New 200"},
		{name: "out of client authentication", version: "1.3", from: "staff.test", to: "shop.test", with: alice, want: "New 200"},
		{name: "into connections of its own", version: "1.3", from: "shop.test", to: "pay.test", want: "New 200"},
	}
	for _, test := range tests {
		t.Run(test.name+" TLS "+test.version, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "session")
			flags := append([]string{"-tls1_" + test.version[2:]}, test.with...)
			mark := s.stdout.mark()
			first := s.opensslFor(t, strings.ToLower(test.from), append(flags, "-servername", test.from, "-sess_out", file)...)
			if got := opensslOutcome(first); got != "New 200" {
				t.Fatalf("first: %s", got)
			}
			s.stdout.awaitEntries(t, mark, 1)
			mark = s.stdout.mark()
			second := s.opensslFor(t, strings.ToLower(test.to), append(append(flags, test.withTo...), "-servername", test.to, "-sess_in", file)...)
			if got := opensslOutcome(second); got != test.want {
				t.Fatalf("%s, want %s\n%s", got, test.want, second)
			}
			session, status, _ := strings.Cut(test.want, " ")
			if status != "200" {
				return
			}
			e := s.stdout.awaitEntry(t, mark, "the second request", func(entry) bool { return true })
			if e.Resumed != (session == "Reused") || e.TLS != test.version || e.SNI != strings.ToLower(test.to) {
				t.Errorf("the log has %+v", e)
			}
		})
	}
}

// TestOpenSSLNames has the server names that Go's own client does not send.
func TestOpenSSLNames(t *testing.T) {
	t.Parallel()
	testenv.Tool(t, "openssl")
	strict, lenient := play(t, "", ""), play(t, "default_site: shop", "")
	tests := []struct {
		name            string
		flags           []string
		host            string
		strict, lenient string
		site            string // of the handshake, where it is one
	}{
		{"a host", []string{"-servername", "api.test"}, "api.test", "New 200", "New 200", "api"},
		{"upper case", []string{"-servername", "API.TEST"}, "api.test", "New 200", "New 200", "api"},
		{"upper case is no way round client authentication", []string{"-servername", "STAFF.TEST"}, "staff.test", alertCert, alertCert, ""},
		{"none", []string{"-noservername"}, "shop.test", alertName, "New 200", "shop"},
		{"none, TLS 1.2", []string{"-noservername", "-tls1_2"}, "shop.test", alertName, "New 200", "shop"},
		{"an IP literal counts as none", []string{"-servername", "127.0.0.1"}, "shop.test", alertName, "New 200", "shop"},
		{"unknown", []string{"-servername", "nobody.test"}, "shop.test", alertName, "New 200", "shop"},
		{"unknown, TLS 1.2", []string{"-servername", "nobody.test", "-tls1_2"}, "shop.test", alertName, "New 200", "shop"},
		{"none, and client authentication", []string{"-noservername"}, "staff.test", alertName, "New 421", "shop"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if out := strict.opensslFor(t, test.host, test.flags...); opensslOutcome(out) != test.strict {
				t.Errorf("without a default site: %s, want %s", opensslOutcome(out), test.strict)
			}
			mark := lenient.stdout.mark()
			out := lenient.opensslFor(t, test.host, test.flags...)
			if got := opensslOutcome(out); got != test.lenient {
				t.Fatalf("with a default site: %s, want %s", got, test.lenient)
			}
			if test.site == "" {
				return
			}
			e := lenient.stdout.awaitEntry(t, mark, "the request", func(entry) bool { return true })
			if e.HandshakeSite != test.site {
				t.Errorf("the handshake chose %q, want %q", e.HandshakeSite, test.site)
			}
		})
	}
}

// TestOpenSSLUnknownIsNotResumed: a ticket of a site does not open a name that no site has.
func TestOpenSSLUnknownIsNotResumed(t *testing.T) {
	t.Parallel()
	testenv.Tool(t, "openssl")
	s := play(t, "", "")
	file := filepath.Join(t.TempDir(), "session")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if got := opensslOutcome(s.openssl(t, version, "-servername", "shop.test", "-sess_out", file)); got != "New 200" {
			t.Fatal(got)
		}
		for _, name := range [][]string{{"-servername", "nobody.test"}, {"-noservername"}} {
			if got := opensslOutcome(s.openssl(t, append(name, version, "-sess_in", file)...)); got != alertName {
				t.Errorf("%s %s: %s", version, name, got)
			}
		}
	}
}
