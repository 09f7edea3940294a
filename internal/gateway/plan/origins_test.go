package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
)

func TestOrigins(t *testing.T) {
	p := planOf(t, listeners+"sites:\n"+
		site("shop", "shop.test", "shared", "")+
		site("api", "api.test", "shared", "")+
		site("staff", "staff.test", "shared", "client_auth: require, client_ca: ca.pem")+
		site("blog", "blog.test", "blog", "")+
		site("wild", `wild.test, "*.wild.test"`, "wild", ""))
	for _, test := range []struct {
		sni     string
		origins string
		silence authority.Silence
		absent  string
	}{
		{"shop.test", "[https://shop.test https://api.test]", "",
			"staff client_auth_mismatch, blog certificate_mismatch, wild certificate_mismatch"},
		{"api.test", "[https://api.test https://shop.test]", "",
			"staff client_auth_mismatch, blog certificate_mismatch, wild certificate_mismatch"},
		{"blog.test", "[https://blog.test]", "",
			"shop certificate_mismatch, api certificate_mismatch, staff certificate_mismatch, wild certificate_mismatch"},
		{"wild.test", "[]", authority.Wildcard,
			"shop certificate_mismatch, api certificate_mismatch, staff certificate_mismatch, blog certificate_mismatch, wild ok"},
	} {
		x := p.Origins(Client{Listener: p.Listener("public"), SNI: test.sni, Protocol: "h2"})
		var absent []string
		for _, a := range x.Absent {
			absent = append(absent, fmt.Sprint(a.Site, " ", a.Verdict.Reason))
		}
		if got := fmt.Sprint(x.Origins); got != test.origins || x.Silence != test.silence || strings.Join(absent, ", ") != test.absent {
			t.Errorf("%s: %s, %q, not in it: %s\nwant %s, %q, not in it: %s", test.sni, got, x.Silence, strings.Join(absent, ", "),
				test.origins, test.silence, test.absent)
		}
	}
	if x := p.Origins(Client{Listener: p.Listener("public"), SNI: "staff.test"}); x.Alert == nil {
		t.Error("no alert for a client without a certificate")
	}
	x := p.Origins(Client{Listener: p.Listener("public"), SNI: "staff.test", Certificate: true})
	if len(x.Origins) != 3 || x.Origins[0].String() != "https://staff.test" {
		t.Errorf("with a certificate: %v", x.Origins)
	}
}

func TestFrames(t *testing.T) {
	var many strings.Builder
	for i := range authority.DefaultMaxOrigins + 1 {
		fmt.Fprintf(&many, "h%d.test, ", i)
	}
	sites := "sites:\n" +
		site("shop", "shop.test", "shared", "") +
		site("api", "api.test", "shared", "") +
		site("wild", `wild.test, "*.wild.test"`, "wild", "") +
		site("many", strings.TrimSuffix(many.String(), ", "), "", "")
	for _, test := range []struct {
		frame string
		want  []string
	}{
		{"auto", []string{"public [shop api] 2 false", "public [wild] 0 false " + string(authority.Wildcard), "public [many] 0 false " + string(authority.TooMany)}},
		{"always", []string{"public [shop api] 2 false", "public [wild] 1 false", "public [many] 100 true"}},
		{"never", nil},
	} {
		p := planOf(t, strings.Replace(listeners, "public_ports", "origin_frame: "+test.frame+", public_ports", 1)+sites)
		var got []string
		for _, f := range p.Frames() {
			got = append(got, strings.TrimSpace(fmt.Sprint(f.Listener, " ", f.Sites, " ", f.Origins, " ", f.Capped, " ", f.Silence)))
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("origin_frame: %s\ngot  %q\nwant %q", test.frame, got, test.want)
		}
	}
}
