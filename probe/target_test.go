package probe

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"WWW.Example.com": "www.example.com", "a.test.:8443": "a.test:8443", "https://a.test/x?y": "a.test", "HTTPS://a.test:443": "a.test",
		"[::1]:8443": "[::1]:8443", "::1": "[::1]", "192.0.2.1": "192.0.2.1", " a.test\t": "a.test",
	} {
		got, err := ParseTarget(in)
		if err != nil || got.Name() != want || got.Port() == 0 {
			t.Errorf("%q: %q, %v; want %q", in, got.Name(), err, want)
		}
	}
	for _, in := range []string{"", "http://a.test", "a b", "u@a.test", "*.a.test", "a.test:0", "a.test:99999"} {
		if got, err := ParseTarget(in); err == nil {
			t.Errorf("%q: %q", in, got.Name())
		}
	}
}

func TestSNI(t *testing.T) {
	for in, want := range map[string]string{"a.test:1": "a.test", "192.0.2.1": "", "[::1]": ""} {
		target, err := ParseTarget(in)
		if err != nil || target.SNI() != want {
			t.Errorf("%q: %q, %v", in, target.SNI(), err)
		}
	}
}

func TestConnectTo(t *testing.T) {
	target, err := ParseTarget("a.test:8443")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"::127.0.0.1:": "127.0.0.1:8443", "a.test:8443:[::1]:9": "[::1]:9", "A.test::b.test:": "b.test:8443", "b.test::127.0.0.1:": "a.test:8443",
		":443:127.0.0.1:1": "a.test:8443", ":8443::1": "a.test:1", ":::": "a.test:8443",
	} {
		c, err := ParseConnectTo(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		host, port := redirect([]ConnectTo{c, {ToHost: "later.test"}}[:1], target)
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			host = "[" + host + "]"
		}
		if got := host + ":" + itoa(port); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	six, err := ParseTarget("[::1]:443")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConnectTo("[0:0:0:0:0:0:0:1]:443:127.0.0.2:2")
	if host, port := redirect([]ConnectTo{c}, six); err != nil || host != "127.0.0.2" || port != 2 {
		t.Errorf("an IPv6 address in its long form: %v, %s:%d", err, host, port)
	}
	for _, in := range []string{"", "a:b", "a:1:b:2:3", "a:x:b:1", "[::1]x:1:a:2", "a:0:b:1"} {
		if c, err := ParseConnectTo(in); err == nil {
			t.Errorf("%q: %+v", in, c)
		}
	}
}

// Names below localhost are this machine's, as curl and browsers have it (RFC 6761 section 6.3): no server is asked for them.
func TestResolveLocalhost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := resolve(ctx, "shop.localhost"); err != nil || fmt.Sprint(got) != "[127.0.0.1 ::1]" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := resolve(ctx, "localhost.example"); err == nil {
		t.Errorf("%v", got)
	}
}

func itoa(n uint16) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), n).String()[len("0.0.0.0:"):]
}
