package probe

import (
	"crypto/tls"
	"net/netip"
	"testing"

	"github.com/usher-http/usher/probe/wire"
)

// The commands are whole: what a shell would take to pieces is quoted, and where HTTP/1.1 cannot be typed there is none.
func TestTry(t *testing.T) {
	w := newWorld(t)
	answer := page(200, "")
	session := func(change func(*evidence)) *evidence {
		e := &evidence{check: CheckResume, protocol: wire.H2, address: here, from: w.one, host: w.staff, request: wire.Request{Authority: "staff.test", Path: "/"},
			facts: wire.Facts{Version: tls.VersionTLS12}, reply: &answer, resumed: true}
		change(e)
		return e
	}
	const first, second = `s=$(mktemp); printf '%s\r\n' 'GET / HTTP/1.1' 'Host: one.test' 'Connection: close' '' | openssl s_client -connect 192.0.2.1:443 -servername one.test -tls1_2 -alpn http/1.1 -sess_out "$s" -quiet`,
		` >/dev/null 2>&1; printf '%s\r\n' 'GET / HTTP/1.1' 'Host: staff.test' 'Connection: close' '' | openssl s_client -connect 192.0.2.1:443 -servername staff.test -tls1_2 -alpn http/1.1 -sess_in "$s" -ign_eof; rm "$s"`
	for name, test := range map[string]struct {
		e    *evidence
		want string
	}{
		"a session":        {session(func(*evidence) {}), first + second},
		"with ours":        {session(func(e *evidence) { e.shown = true }), first + " -cert CERT -key KEY" + second},
		"over HTTP/3":      {session(func(e *evidence) { e.protocol = wire.H3 }), ""},
		"nothing answered": {session(func(e *evidence) { e.reply = nil }), ""},
		"an odd name": {session(func(e *evidence) {
			e.resumed, e.check, e.from, e.serverName, e.facts.Version = false, CheckSNI, nil, "STAFF.test", tls.VersionTLS13
			e.address, e.request.Path = netip.MustParseAddrPort("[2001:db8::1]:8443"), `/it's?a=%d&b=\n`
		}), `printf '%s\r\n' 'GET /it'\''s?a=%d&b=\n HTTP/1.1' 'Host: staff.test' 'Connection: close' '' | openssl s_client -connect [2001:db8::1]:8443 -servername STAFF.test -tls1_3 -alpn http/1.1 -quiet`},
		"no name": {session(func(e *evidence) { e.resumed, e.check, e.from = false, CheckSNI, nil }),
			`printf '%s\r\n' 'GET / HTTP/1.1' 'Host: staff.test' 'Connection: close' '' | openssl s_client -connect 192.0.2.1:443 -noservername -tls1_2 -alpn http/1.1 -quiet`},
		"two hosts": {session(func(e *evidence) {
			e.resumed, e.check, e.kind, e.protocol, e.request.Hosts = false, CheckParse, TwoHosts, wire.H1, []string{"one.test", "staff.test"}
		}), `printf '%s\r\n' 'GET / HTTP/1.1' 'Host: one.test' 'Host: staff.test' 'Connection: close' '' | openssl s_client -connect 192.0.2.1:443 -servername one.test -tls1_2 -alpn http/1.1 -quiet`},
		"an empty host": {session(func(e *evidence) { e.resumed, e.check, e.kind, e.protocol = false, CheckParse, EmptyHost, wire.H1 }),
			`curl -sik --http1.1 --connect-to ::192.0.2.1:443 -H 'Host;' https://one.test/`},
		"nobody's connection": {session(func(e *evidence) { e.resumed, e.check, e.from = false, CheckReuse, nil }), ""},
	} {
		if got := test.e.try("GET"); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
	w.one.Own[wire.H1] = &Own{Address: here, Failure: wire.NoProtocol}
	if got := session(func(*evidence) {}).try("GET"); got != "" {
		t.Errorf("a host without HTTP/1.1: %s", got)
	}
}
