package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/testca"
)

// planOf loads a configuration in a folder with certificates: shared (shop.test, api.test, staff.test), blog (blog.test),
// wild (*.wild.test, wild.test), ca.pem and other-ca.pem.
func planOf(t *testing.T, text string) *Plan {
	t.Helper()
	dir := t.TempDir()
	ca := testca.New(t)
	ca.WriteServer(t, dir, "shared", "shop.test", "api.test", "staff.test")
	ca.WriteServer(t, dir, "blog", "blog.test")
	ca.WriteServer(t, dir, "wild", "*.wild.test", "wild.test")
	ca.WriteRoot(t, dir, "ca")
	testca.New(t).WriteRoot(t, dir, "other-ca")
	l, err := config.Parse(filepath.Join(dir, "usher.yaml"), []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
		t.Errorf("the state folder was touched: %v", err)
	}
	return p
}

const listeners = `
listeners:
  - {name: public, address: "127.0.0.1:8443", public_ports: [443]}
  - {name: plain, address: "127.0.0.1:8080", scheme: http}
`

// site writes a site in short.
func site(name, hosts, cert, more string) string {
	tls := "issuer: local"
	if cert != "" {
		tls = fmt.Sprintf("certificates: [{certificate: %s.pem, key: %s.key}]", cert, cert)
	}
	top := ""
	if at := strings.Index(more, "coalesce"); at >= 0 {
		more, top = more[:at], ", "+more[at:]
	}
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf("  - {name: %s, hosts: [%s], tls: {%s%s}%s, routes: [{path: /, respond: {status: 204}}]}\n", name, hosts, tls, more, top)
}

// text writes a share as: FROM -> TO: STATUS REASON, then RETRY.
func (s *Share) text() string {
	certificate := ""
	if s.Certificate != AnyCertificate {
		certificate = " " + string(s.Certificate)
	}
	out := fmt.Sprintf("%s: %s%s -> %s: %d %s", s.Listener, strings.Join(s.From, " "), certificate, strings.Join(s.To, " "),
		s.Verdict.Status(), s.Verdict.Reason)
	if s.Verdict.Waived != authority.OK {
		out += " waived " + s.Verdict.Waived.String()
	}
	if s.Retry != nil {
		out += ", then " + s.Retry.word()
	}
	return out
}

func TestShares(t *testing.T) {
	shop := site("shop", "shop.test", "shared", "")
	api := site("api", "api.test", "shared", "")
	blog := site("blog", "blog.test", "blog", "")
	tests := []struct {
		name, top string
		sites     []string
		want      []string
	}{
		{"certificates of their own", "", []string{shop, blog}, nil},
		{"one certificate", "", []string{shop, api, blog}, []string{"public: shop api -> shop api: 200 ok"}},
		{"local certificates are one each", "", []string{site("a", "a.test", "", ""), site("b", "b.test", "", "")}, nil},
		{"a local wildcard covers a neighbour", "",
			[]string{site("all", "'*.a.test'", "", ""), site("one", "one.a.test", "", "")},
			[]string{"public: all -> one: 200 ok"}},
		{"required client certificate", "",
			[]string{shop, api, site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem")},
			[]string{
				"public: shop api -> shop api: 200 ok",
				"public: shop api -> staff: 421 client_auth_mismatch, then ok",
				"public: staff -> shop api: 200 ok",
			}},
		{"the same required certificate", "",
			[]string{site("shop", "shop.test", "shared", "client_auth: require, client_ca: ca.pem"),
				site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem")},
			[]string{"public: shop staff -> shop staff: 200 ok"}},
		{"another CA set", "",
			[]string{site("shop", "shop.test", "shared", "client_auth: optional, client_ca: other-ca.pem"),
				site("staff", "staff.test", "shared", "client_auth: optional, client_ca: ca.pem")},
			[]string{
				"public: shop -> staff: 421 client_auth_mismatch, then ok",
				"public: staff -> shop: 421 client_auth_mismatch, then ok",
			}},
		{"optional: it depends on the client", "",
			[]string{site("shop", "shop.test", "shared", "client_auth: optional, client_ca: ca.pem"),
				site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem")},
			[]string{
				"public: shop without -> staff: 421 client_auth_mismatch, then ok",
				"public: shop with -> staff: 200 ok",
				"public: staff -> shop: 200 ok",
			}},
		{"coalesce: false", "",
			[]string{shop, api, site("pay", "staff.test", "shared", "coalesce: false")},
			[]string{
				"public: shop api pay -> shop api: 200 ok",
				"public: shop api -> pay: 421 coalescing_refused, then ok",
			}},
		{"both coalesce: false", "",
			[]string{site("shop", "shop.test", "shared", "coalesce: false"), site("pay", "staff.test", "shared", "coalesce: false")},
			[]string{"public: shop pay -> shop pay: 421 coalescing_refused, then ok"}},
		{"observed", "mode: observe\n",
			[]string{shop, site("pay", "staff.test", "shared", "coalesce: false")},
			[]string{"public: pay -> shop: 200 ok", "public: shop -> pay: 200 ok waived coalescing_refused"}},
		{"wildcard hosts", "",
			[]string{site("all", "'*.wild.test'", "wild", ""), site("any", "any.wild.test", "wild", "coalesce: false"), site("bare", "wild.test", "wild", "")},
			[]string{"public: all bare -> any: 421 coalescing_refused, then ok", "public: all any bare -> all bare: 200 ok"}},
		{"the catch-all", "",
			[]string{site("rest", "'*'", "shared", ""), site("api", "api.test", "shared", "")},
			[]string{"public: rest api -> rest api: 200 ok"}},
		{"a host on another port of the listener", "",
			[]string{shop, site("api", "'api.test:8443'", "shared", "")},
			[]string{"public: shop api -> shop api: 200 ok"}},
		{"HTTP/1.1 alone shares nothing", "listeners: [{name: public, address: '127.0.0.1:8443', protocols: [h1]}]\n", []string{shop, api}, nil},
		{"other listeners", "listeners: [{name: public, address: '127.0.0.1:8443'}, {name: inside, address: '127.0.0.1:9443'}]\n",
			[]string{shop,
				strings.Replace(site("api", "api.test", "shared", ""), "hosts:", "listeners: [inside], hosts:", 1),
				strings.Replace(site("staff", "staff.test", "shared", ""), "hosts:", "listeners: [public], hosts:", 1)},
			[]string{"public: shop staff -> shop staff: 200 ok", "inside: shop api -> shop api: 200 ok"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top := test.top
			if !strings.Contains(top, "listeners") {
				top += listeners
			}
			p := planOf(t, top+"sites:\n"+strings.Join(test.sites, ""))
			var got []string
			for _, s := range p.Shares() {
				got = append(got, s.text())
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestPairs(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     int
	}{{"a b", "a b", 2}, {"a b", "c", 2}, {"a b c", "a b", 4}, {"a", "b c", 2}} {
		s := Share{From: strings.Fields(test.from), To: strings.Fields(test.to)}
		if got := s.Pairs(); got != test.want {
			t.Errorf("%s with %s: %d pairs, want %d", test.from, test.to, got, test.want)
		}
	}
}

// TestSharesAgree asks for every pair of a larger file one by one: what the groups say is what the table decides.
func TestSharesAgree(t *testing.T) {
	var sites strings.Builder
	for i := range 40 {
		more := []string{"", "client_auth: require, client_ca: ca.pem", "coalesce: false", "client_auth: require, client_ca: other-ca.pem"}[i%4]
		sites.WriteString(site(fmt.Sprintf("s%d", i), fmt.Sprintf("h%d.wild.test", i), "wild", more))
	}
	p := planOf(t, listeners+"sites:\n"+sites.String())
	said := map[string]string{}
	for _, s := range p.Shares() {
		for _, from := range s.From {
			for _, to := range s.To {
				if from == to {
					continue
				}
				if said[from+" "+to] != "" {
					t.Errorf("%s with %s is told twice", from, to)
				}
				said[from+" "+to] = s.Verdict.Reason.String()
			}
		}
	}
	for i := range 40 {
		for j := range 40 {
			if i == j {
				continue
			}
			q := Question{Scheme: authority.HTTPS, Host: fmt.Sprintf("h%d.wild.test", j)}
			q.Client = Client{Listener: p.Listener("public"), SNI: fmt.Sprintf("h%d.wild.test", i), Protocol: "h2", Certificate: true}
			want := p.Explain(q).Verdict.Reason.String()
			if got := said[fmt.Sprintf("s%d s%d", i, j)]; got != want {
				t.Fatalf("s%d with s%d: %q, want %q", i, j, got, want)
			}
		}
	}
}
