package usher_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"

	"github.com/usher-http/usher"
)

// world is a town with three listeners: public and side over TLS, plain without.
type world struct {
	*town
	g                   *usher.Guard
	public, side, plain string // addresses
	book                *logbook
}

func newWorld(t testing.TB, change func(*usher.Config)) *world {
	t.Helper()
	w := &world{town: newTown(t), book: new(logbook)}
	c := usher.Config{Sites: w.sites(t), Logger: w.book.logger(), Listeners: []usher.Listener{
		{Name: "public", Ports: []uint16{443, 8443}},
		{Name: "side", Ports: []uint16{9443}},
		{Name: "plain", Scheme: "http", Ports: []uint16{80}},
	}}
	c.Sites = append(c.Sites,
		usher.Site{Name: "side", Hosts: []string{"side.test"}, Listeners: []string{"side"}, Certificates: []tls.Certificate{
			w.ca.Server(t, "side.test", "a.test")}},
		usher.Site{Name: "both", Hosts: []string{"both.test"}, PlainHTTP: true, Certificates: []tls.Certificate{
			w.ca.Server(t, "both.test")}},
		usher.Site{Name: "uncovered", Hosts: []string{"uncovered.test"}, Certificates: []tls.Certificate{w.shared}},
	)
	if change != nil {
		change(&c)
	}
	w.g = newGuard(t, c)
	w.public, w.side = w.serveTLS(t, "public"), w.serveTLS(t, "side")
	srv := newServer(w.g, echo)
	srv.Handler, srv.ConnContext = withReason(w.g, echo), w.g.OnListener("plain")
	srv.DisableGeneralOptionsHandler = true
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	l := listen(t)
	background(t, srv, func() error { return srv.Serve(l) })
	w.plain = l.Addr().String()
	return w
}

func (w *world) serveTLS(t testing.TB, name string) string {
	srv := newServer(w.g, echo)
	srv.Handler, srv.ConnContext = withReason(w.g, echo), w.g.OnListener(name)
	return serveTLS(t, w.g, srv)
}

// open connects to the public listener.
func (w *world) open(t testing.TB, proto, sni string) *line {
	t.Helper()
	return (&caller{addr: w.public, sni: sni, proto: proto}).open(t)
}

// openStaff connects with ann's certificate.
func (w *world) openStaff(t testing.TB, proto, sni string) *line {
	t.Helper()
	return (&caller{addr: w.public, sni: sni, proto: proto, tls: tls.Config{Certificates: []tls.Certificate{w.client}}}).open(t)
}

// trust makes loopback addresses trusted gateways of all listeners: 127.0.0.2 is one, 127.0.0.1 is not.
func trust(c *usher.Config) {
	for i := range c.Listeners {
		c.Listeners[i].TrustedGateways = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	}
}
