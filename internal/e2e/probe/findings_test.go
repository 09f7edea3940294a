package probe

import (
	"slices"
	"strings"
	"testing"
)

// A case is a server with what is expected of it. The findings are written by hand, from what the server's manual says; expand says how.
type testCase struct {
	name  string
	start func(*testing.T) *server
	why   string // what the manual says
	want  []string
	exit  int
	curl  []witness
	// resumes: sessions of TLS 1.2 are resumed under another name, as openssl s_client sees it.
	resumes bool
}

// Findings that several servers have. Ports and schemes are no part of how they choose a site.
const (
	foreignPorts = "info parse parse/foreign-port HTTP/1.1,HTTP/2 one>one"
	httpInside   = "info parse parse/http-inside-tls HTTP/1.1,HTTP/2 one>one"
	// Whatever the connection's certificate, the site of the request's host answers.
	byHostAlone = "medium uncovered reuse HTTP/1.1,HTTP/2 one>blog,a.wild; blog>one,a.wild; a.wild>one,blog"
	// One session cache for all sites: a session of TLS 1.2 is good for each of them.
	oneCache = "low uncovered resume HTTP/2 one>blog,a.wild; blog>one,a.wild; a.wild>one,blog"
	// The first or default site answers for names that nobody has.
	defaultSite = "low uncovered parse/unknown-authority HTTP/1.1,HTTP/2 one>usher-probe.invalid"
	// A 421 page as other error pages are.
	plainPage = "info 421-hygiene reuse/storable,reuse/version HTTP/1.1,HTTP/2 one>staff"
	everyone  = "one,two,blog,a.wild,b.wild>staff"
)

var cases = []testCase{
	{
		name: "nginx", start: nginx, exit: 1, resumes: true,
		why: "server blocks are chosen by Host alone; where the block of the host has ssl_verify_client, a Host other than the SNI is 421. " +
			"Host may hold what is before an @. Tickets of all blocks have one key. The first block is the default.",
		want: []string{byHostAlone, oneCache, defaultSite, plainPage, foreignPorts, httpInside, "low parse parse/userinfo HTTP/1.1,HTTP/2 one>one"},
		curl: []witness{
			{"one", "two", "200", "two"}, {"blog", "one", "200", "one"}, {"one", "staff", "421", ""}, {"one", "nobody", "200", "one"},
			{"one", "user@two", "200", "one"},
		},
	},
	{
		name: "apache", start: apache, exit: 1,
		why: "a Host whose virtual host has other SSL settings than that of the SNI is 421, and so is any other host over HTTP/2 and TLS where the " +
			"certificate differs: both ask for the same settings; sessions belong to a virtual host. The first virtual host is the default.",
		want: []string{defaultSite, plainPage, foreignPorts, httpInside, "low parse parse/host-against-authority HTTP/2 one>staff"},
		curl: []witness{{"one", "two", "200", "two"}, {"blog", "one", "421", ""}, {"one", "staff", "421", ""}, {"one", "nobody", "200", "one"}},
	},
	{
		name: "haproxy", start: haproxy, exit: 1, resumes: true,
		why: "a crt-list chooses certificate and client authentication by SNI; rules see Host, and nobody compares the two. Tickets of a bind line " +
			"have one key. Without strict-sni the first certificate is the default, which wants no client certificate.",
		want: []string{byHostAlone, oneCache, foreignPorts, httpInside, "low parse parse/host-against-authority HTTP/2 one>staff",
			"critical bypass reuse HTTP/1.1,HTTP/2 " + everyone, "critical bypass resume HTTP/2 " + everyone, "critical bypass sni/no-sni,sni/unknown-sni HTTP/2 >staff"},
		curl: []witness{{"one", "two", "200", "two"}, {"blog", "one", "200", "one"}, {"one", "staff", "200", "staff"}, {"one", "nobody", "404", ""}},
	},
	{
		name: "lighttpd", start: lighttpd, exit: 1, resumes: true,
		why: "a condition on the host takes the SNI in the handshake and Host in the request, and nobody compares the two. A Host that differs " +
			"from :authority is 400.",
		want: []string{byHostAlone, oneCache, defaultSite, foreignPorts, httpInside,
			"critical bypass reuse HTTP/1.1,HTTP/2 " + everyone, "critical bypass resume HTTP/2 " + everyone, "critical bypass sni/no-sni,sni/unknown-sni HTTP/2 >staff"},
		curl: []witness{{"one", "two", "200", "two"}, {"blog", "one", "200", "one"}, {"one", "staff", "200", "staff"}, {"one", "nobody", "200", "one"}},
	},
	{
		name: "caddy", start: caddy, exit: 1, resumes: true,
		why: "strict_sni_host is on as soon as one site has client authentication: a Host other than the SNI is 421, whatever the certificate. " +
			"The 421 has the fields of every answer, Alt-Svc with them (over HTTP/1.1 and 2). Ports and schemes do not count. Sessions have one key.",
		want: []string{
			"info over-strict reuse HTTP/2,HTTP/3 one>two; two>one; a.wild>b.wild; b.wild>a.wild",
			"info 421-hygiene reuse/storable HTTP/1.1,HTTP/2,HTTP/3 one>two", "low 421-hygiene reuse/alt-svc HTTP/1.1,HTTP/2 one>two",
			"info parse parse/foreign-port,parse/http-inside-tls HTTP/1.1,HTTP/2,HTTP/3 one>one", oneCache,
		},
		curl: []witness{{"one", "two", "421", ""}, {"blog", "one", "421", ""}, {"one", "staff", "421", ""}, {"one", "nobody", "421", ""}},
	},
	{
		name: "usher", start: usher, exit: 0,
		why:  "the certificate of the connection must cover the host, and client authentication must have been passed",
		curl: []witness{{"one", "two", "200", "two"}, {"blog", "one", "421", ""}, {"one", "staff", "421", ""}, {"one", "nobody", "421", ""}},
	},
	{
		name: "a naive server in Go", start: naive, exit: 1, resumes: true,
		why: "a handler that chooses by Host, GetConfigForClient by SNI, and nothing between them: what is protected is open on every other " +
			"connection, but not by a session without a certificate: crypto/tls does not resume those where one is required. An SNI in upper case " +
			"is in no map. net/http ignores :scheme, takes Host beside :authority, and an absolute-form target in place of Host.",
		want: []string{byHostAlone, oneCache, foreignPorts, httpInside, "low parse parse/host-against-authority HTTP/2 one>staff",
			"critical bypass reuse HTTP/1.1,HTTP/2 " + everyone, "critical bypass sni/no-sni,sni/unknown-sni HTTP/2 >staff",
			"critical bypass sni/upper-case-sni HTTP/2 staff>staff", "critical bypass parse/absolute-form HTTP/1.1 one>staff"},
		curl: []witness{{"one", "two", "200", "two"}, {"blog", "one", "200", "one"}, {"one", "staff", "200", "staff"}, {"one", "nobody", "404", ""}},
	},
}

// expand writes out "severity id what,what protocol,protocol from,from>to,to; from>to".
func expand(text string) (list []string) {
	parts := strings.SplitN(text, " ", 5)
	for _, pair := range strings.Split(parts[4], "; ") {
		from, to, _ := strings.Cut(pair, ">")
		for _, what := range strings.Split(parts[2], ",") {
			for _, proto := range strings.Split(parts[3], ",") {
				for _, a := range strings.Split(from, ",") {
					for _, b := range strings.Split(to, ",") {
						list = append(list, strings.Join([]string{parts[0], parts[1], what, proto, a + ">" + b}, " "))
					}
				}
			}
		}
	}
	return list
}

func TestServers(t *testing.T) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			s := test.start(t)
			var want []string
			for _, text := range test.want {
				want = append(want, expand(text)...)
			}
			slices.Sort(want)
			for _, more := range [][]string{nil, {"--cert", "me.pem", "--key", "me.key"}} {
				r, code := s.probe(t, more...)
				got := lines(r, s.port)
				for _, line := range got {
					if _, ok := slices.BinarySearch(want, line); !ok {
						t.Errorf("%v: not expected: %s", more, line)
					}
				}
				for _, line := range want {
					if !slices.Contains(got, line) {
						t.Errorf("%v: expected, but not found: %s", more, line)
					}
				}
				if code != test.exit || r.Summary.Unreachable != 0 {
					t.Errorf("%v: exit %d, want %d; %+v", more, code, test.exit, r.Summary)
				}
			}
			s.witnesses(t, test)
		})
	}
}
