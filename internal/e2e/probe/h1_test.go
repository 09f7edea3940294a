package probe

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// TestApacheWithoutHTTP2: as Debian ships it, httpd chooses http/1.1 whatever is offered. That is a server without HTTP/2, not garbage.
func TestApacheWithoutHTTP2(t *testing.T) {
	s := apacheWith(t, "http/1.1")
	r, _ := s.probe(t)
	for i := range r.Hosts {
		for _, p := range r.Hosts[i].Protocols {
			if h1 := p.Protocol == wire.H1; p.Failure != wire.NoProtocol && !h1 || h1 && p.Status != 200 && r.Hosts[i].ClientAuth != probe.AuthRequired {
				t.Errorf("%s: %+v", r.Hosts[i].Name, p)
			}
		}
	}
}

// TestSNIWithoutHTTP2: HAProxy speaks HTTP/1.1 alone where nobody says alpn, and here staff.test is open to whoever sends no SNI.
func TestSNIWithoutHTTP2(t *testing.T) {
	c, program := newCast(t), tool(t, "haproxy")
	s := c.launch(t, func(port string) *exec.Cmd {
		list := fmt.Sprintf("%[1]s/shared-both.pem one.test\n%[1]s/shared-both.pem [ca-file %[1]s/clients.pem verify required] staff.test\n", c.dir)
		var b strings.Builder
		fmt.Fprintf(&b, "defaults\nmode http\ntimeout client 20s\ntimeout server 20s\ntimeout connect 20s\nfrontend f\nbind 127.0.0.1:%s ssl crt-list %s\n", port, c.write(t, "list.txt", list))
		for _, rule := range []string{
			`return status 421 hdr cache-control no-store if { ssl_fc_sni -m found } !{ ssl_fc_sni,lower -m str staff.test } { req.hdr(host) -m beg staff.test }`,
			`return status 200 content-type text/plain string "this is one.test" if { req.hdr(host) -m beg one.test }`,
			`return status 200 content-type text/plain string "salaries" if { req.hdr(host) -m beg staff.test }`,
			`return status 421 hdr cache-control no-store`,
		} {
			b.WriteString("http-request " + rule + "\n")
		}
		return exec.Command(program, "-db", "-f", c.write(t, "haproxy.cfg", b.String()))
	})
	r, _ := s.probe(t)
	if got := lines(r, s.port); !slices.Contains(got, "critical bypass sni/no-sni HTTP/1.1 >staff") {
		t.Errorf("the bypass is not found:\n%s", strings.Join(got, "\n"))
	}
	out, _ := run(t, s.dir, tool(t, "curl"), "-sk", "-H", "Host: staff.test:"+s.port, "https://127.0.0.1:"+s.port+"/")
	if out != "salaries" {
		t.Errorf("curl without SNI: %q", out)
	}
}
