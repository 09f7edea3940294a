package demo

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// A scene is one request of the script.
type scene struct {
	open      opening // a new connection; zero: the one of the scene before
	authority string  // as it is sent; a bare host gets the listener's port
	path      string
	want      string
	resumed   bool // the handshake must have resumed a session; otherwise it must not
}

// A chapter is what a few scenes show.
type chapter struct {
	title  string
	scenes []scene
}

// The script. Tickets of the chapter about resumption lie in one box.
func script(tickets *ticketBox) []chapter {
	h1, h2, h3 := onto("h1"), onto("h2"), onto("h3")
	resume := opening{protocol: "h2", host: shop, tickets: tickets}
	return []chapter{
		{"The certificate of the connection does not cover the host", []scene{
			{h2(blog), blog, "/", "200 ok", false},
			{opening{}, api, "/orders", "421 certificate_mismatch", false},
			{h2(api), api, "/orders", "200 ok", false}, // the retry
			{h1(blog), api, "/orders", "421 certificate_mismatch", false},
			{h3(blog), api, "/orders", "421 certificate_mismatch", false},
			{h3(api), api, "/orders", "200 ok", false},
		}},
		{"It does: reuse is legal, and saves a connection", []scene{
			{h2(shop), shop, "/", "200 ok", false},
			{opening{}, api, "/orders", "200 ok", false},
			{h3(shop), api, "/orders", "200 ok", false},
		}},
		{"Client authentication is not bypassed by reuse", []scene{
			{h2(shop), staff, "/", "421 client_auth_mismatch", false},
			{h3(shop), staff, "/", "421 client_auth_mismatch", false},
			{opening{protocol: "h2", host: staff, staff: true}, staff, "/", "200 ok", false},
		}},
		{"Nor by session resumption", []scene{
			{resume, shop, "/", "200 ok", false},
			{resume, shop, "/", "200 ok", true},
			{opening{}, staff, "/", "421 client_auth_mismatch", true},
			{opening{protocol: "h2", host: pay, tickets: tickets}, pay, "/", "200 ok", false}, // a ticket opens its own site alone
			{opening{protocol: "h2", host: staff, tickets: tickets}, staff, "/", "alert certificate_required", false},
		}},
		{"A site that wants connections of its own (coalesce: false)", []scene{
			{h2(shop), pay, "/", "421 coalescing_refused", false},
			{h2(pay), pay, "/", "200 ok", false},
		}},
		{"Hosts that nobody has", []scene{
			{h2(shop), nobody, "/", "421 unknown_origin", false},
			{h2(nobody), nobody, "/", "alert unrecognized_name", false},
		}},
		{"One host, spelled in several ways", []scene{
			{h1(shop), "shop.localhost.:PORT", "/", "200 ok", false},
			{opening{}, "SHOP.LocalHost:PORT", "/", "200 ok", false},
			{opening{}, "shop.localhost:443", "/", "200 ok", false}, // a client of a mapped port
			{opening{}, "shop.localhost:1", "/", "421 unknown_origin", false},
			{opening{}, "shop%2elocalhost:PORT", "/", "400 malformed_authority", false},
		}},
		{"Plain HTTP is sent to https", []scene{
			{opening{protocol: "h1"}, shop, "/", "308 redirect", false},
		}},
	}
}

// onto returns how connections of a protocol are made.
func onto(protocol string) func(host string) opening {
	return func(host string) opening { return opening{protocol: protocol, host: host} }
}

// Run sends the requests of the script, one after the other. The error is about the client or the machine; an answer that
// was not expected is in its Exchange.
func (d *Demo) Run(ctx context.Context) ([]Exchange, error) {
	var all []Exchange
	c := new(connection)
	defer func() { c.end() }()
	for _, ch := range script(new(ticketBox)) {
		for _, s := range ch.scenes {
			var failed error
			if s.open != (opening{}) {
				c.end()
				number := c.number + 1
				c, failed = d.openInTime(ctx, s.open)
				c.number = number
			}
			e := Exchange{
				Chapter: ch.title, Protocol: c.protocol, Connection: c.number, OpenedFor: c.host, Certificate: c.shown,
				Method: "GET", Authority: d.spell(s.authority), Path: s.path, Want: s.want,
				Plain: !strings.Contains(s.authority, ":"),
			}
			if failed != nil {
				failed = e.refusedBy(c.failure(failed))
			} else {
				failed = d.ask(ctx, &e, c)
			}
			if failed != nil {
				return all, fmt.Errorf("%s on a connection for %q: %w", c.protocol, c.host, failed)
			}
			e.judge(s.resumed)
			all = append(all, e)
		}
	}
	return all, nil
}

// spell gives a bare host the listener's port.
func (d *Demo) spell(host string) string {
	_, port, _ := net.SplitHostPort(d.TLS)
	if !strings.Contains(host, ":") {
		return host + ":" + port
	}
	return strings.Replace(host, ":PORT", ":"+port, 1)
}
