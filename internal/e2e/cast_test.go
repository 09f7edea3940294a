package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/internal/testca"
)

// A cast is a folder with the certificates of the sites that most tests play with.
type cast struct {
	dir     string
	ca      *testca.CA
	pool    *x509.CertPool
	alice   tls.Certificate // a client certificate that staff.test accepts
	mallory tls.Certificate // one that nobody accepts
}

// Every site of the cast but blog has the same certificate, which covers gone.test too, a host that no site has.
var sharedHosts = []string{"shop.test", "www.shop.test", "api.test", "staff.test", "members.test", "pay.test", "modern.test", "far.test", "gone.test"}

func newCast(t testing.TB) *cast {
	t.Helper()
	c := &cast{dir: t.TempDir(), ca: testca.New(t)}
	c.pool = c.ca.Pool()
	c.ca.WriteRoot(t, c.dir, "ca")
	c.ca.WriteServer(t, c.dir, "shared", sharedHosts...)
	c.ca.WriteServer(t, c.dir, "blog", "blog.test")
	staff := testca.New(t)
	staff.WriteRoot(t, c.dir, "staff-ca")
	c.alice = staff.Client(t, "alice")
	testca.Write(t, c.dir, "alice", c.alice)
	c.mallory = testca.New(t).Client(t, "mallory")
	testca.Write(t, c.dir, "mallory", c.mallory)
	return c
}

// config returns the cast's configuration. PORT:0 is where the tests are; extra are further top-level keys, and sites
// further list items.
func (c *cast) config(extra, sites string) string {
	if !strings.Contains(extra, "timeouts:") {
		extra += "\ntimeouts: {drain: 30s}"
	}
	return fmt.Sprintf(`%s
listeners:
  - {name: public, address: "127.0.0.1:0"}
  - {name: far, address: "127.0.0.1:0"}
  - {name: plain, address: "127.0.0.1:0", scheme: http}
admin: {address: "127.0.0.1:0"}
log: {output: stdout, level: debug}
state: ./state
sites:
  - name: shop
    hosts: [shop.test, www.shop.test]
    listeners: [public, plain]
    tls: &shared {certificates: [{certificate: shared.pem, key: shared.key}]}
    routes:
      - {path: /, respond: {body: "the shop\n"}}
  - name: api
    hosts: [api.test]
    listeners: [public, plain]
    tls: *shared
    routes:
      - {path: /, respond: {body: "the api\n"}}
  - name: staff
    hosts: [staff.test]
    listeners: [public]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}], client_auth: require, client_ca: staff-ca.pem}
    routes:
      - {path: /, respond: {body: "for staff only\n"}}
  - name: members
    hosts: [members.test]
    listeners: [public]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}], client_auth: optional, client_ca: staff-ca.pem}
    routes:
      - {path: /, respond: {body: "for members\n"}}
  - name: pay
    hosts: [pay.test]
    listeners: [public]
    tls: *shared
    coalesce: false
    routes:
      - {path: /, respond: {body: "the till\n"}}
  - name: modern
    hosts: [modern.test]
    listeners: [public]
    tls: {certificates: [{certificate: shared.pem, key: shared.key}], min_version: "1.3"}
    routes:
      - {path: /, respond: {body: "modern\n"}}
  - name: far
    hosts: [far.test]
    listeners: [far]
    tls: *shared
    routes:
      - {path: /, respond: {body: "far away\n"}}
  - name: blog
    hosts: [blog.test]
    listeners: [public]
    tls: {certificates: [{certificate: blog.pem, key: blog.key}]}
    routes:
      - {path: /, respond: {body: "the blog\n"}}
%s`, extra, sites)
}

// A stage is the cast in a running server.
type stage struct {
	*cast
	*server
}

// play starts a server with the cast's configuration.
func play(t testing.TB, extra, sites string) *stage {
	t.Helper()
	c := newCast(t)
	return &stage{c, serve(t, c.dir, c.config(extra, sites))}
}
