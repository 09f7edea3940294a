package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/rawh3"
	"github.com/usher-http/usher/internal/testenv"
)

// A sample is one line of docs/verdicts.md: what is asked, over which protocol, and what comes of it.
type sample struct {
	reason authority.Reason
	proto  string
	name   string // tells it from others of the same cell; empty where there are none
	ask    string // in words, for the page
	want   string // as observe words it, or a never
	// run asks and says what came of it. For a never it shows that the nearest thing to it is not answered so.
	run func(t *testing.T, s *stage) string
}

func (c *sample) test() string {
	name := c.reason.String() + "/" + c.proto
	if c.name != "" {
		name += "/" + c.name
	}
	return name
}

// never is why a reason cannot occur over a protocol.
func never(because string) string { return "cannot occur, because " + because }

func (c *sample) never() bool { return strings.HasPrefix(c.want, never("")) }

// misdirected is the usual kind of sample: over each protocol, an authority on a connection that was made for a host.
func misdirected(reason authority.Reason, status int, name string, d dial, at string) []sample {
	var list []sample
	for _, proto := range protocols {
		list = append(list, sample{reason, proto, name, asked(d, at), answered(status, reason.String()), get(proto, d, at)})
	}
	return list
}

// asked puts a request into words.
func asked(d dial, at string) string {
	var how []string
	if d.cert != nil {
		how = append(how, "a client certificate")
	}
	if d.max == tls.VersionTLS12 {
		how = append(how, "TLS 1.2")
	}
	if len(how) > 0 {
		return fmt.Sprintf("`%s` on a connection for `%s` with %s", at, d.sni, strings.Join(how, " and "))
	}
	return fmt.Sprintf("`%s` on a connection for `%s`", at, d.sni)
}

func get(proto string, d dial, at string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		c := s.connect(t, proto, d)
		defer c.close()
		return s.observe(t, proto, func() reply { return c.get(t, s.text(t, at), "/") })
	}
}

// text is a request in HTTP/1.1 as it stands; over TLS unless the dial names the listener plain.
func text(d dial, request string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		var c *h1
		if d.listener == "plain" {
			c = s.plaintext(t, "plain")
		} else {
			c = s.h1(t, d)
		}
		defer c.close()
		method, _, _ := strings.Cut(request, " ")
		return s.observe(t, "h1", func() reply {
			return c.send(t, method, strings.ReplaceAll(s.text(t, request), "\n", "\r\n"))
		})
	}
}

// fields is a request in HTTP/2, pseudo-header fields and fields in turn; over TLS unless the dial names the listener plain.
func fields(d dial, pairs ...string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		var c *h2
		if d.listener == "plain" {
			c = newH2(t, s.plaintext(t, "plain").Conn)
		} else {
			c = s.h2(t, d)
		}
		defer c.close()
		return s.observe(t, "h2", func() reply { return c.send(t, nil, s.filled(t, pairs)...) })
	}
}

// fields3 is the same in HTTP/3.
func fields3(d dial, pairs ...string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		c := s.h3(t, d)
		defer c.close()
		var list []rawh3.Field
		for i := 0; i+1 < len(pairs); i += 2 {
			list = append(list, rawh3.Field{pairs[i], s.text(t, pairs[i+1])})
		}
		return s.observe(t, "h3", func() reply { return c.send(t, "", list...) })
	}
}

func (s *stage) filled(t testing.TB, list []string) []string {
	filled := make([]string, len(list))
	for i := range list {
		filled[i] = s.text(t, list[i])
	}
	return filled
}

// pseudo returns the pseudo-header fields of a GET, with others behind.
func pseudo(scheme, at string, more ...string) []string {
	return append([]string{":method", "GET", ":scheme", scheme, ":authority", at, ":path", "/"}, more...)
}

var (
	shop  = on("shop.test")
	tls12 = dial{sni: "shop.test", max: tls.VersionTLS12}
	plain = dial{listener: "plain"}
)

// samples returns every sample, in the order of the page.
func samples() []sample {
	var all []sample
	for _, list := range [][]sample{
		served(), malformed(), conflicts(), schemes(), unknown(),
		misdirected(authority.WrongListener, 421, "", shop, "far.test:FAR"),
		misdirected(authority.CertificateMismatch, 421, "", on("blog.test"), "api.test:PORT"),
		clientAuth(), versions(),
		misdirected(authority.CoalescingRefused, 421, "", shop, "pay.test:PORT"),
		redirects(), earlyData(), methods(), noFacts(),
	} {
		all = append(all, list...)
	}
	return all
}

func served() []sample {
	const reason = authority.OK
	list := misdirected(reason, 200, "own", shop, "shop.test:PORT")
	list = append(list, misdirected(reason, 200, "coalesced", shop, "api.test:PORT")...)
	list = append(list, misdirected(reason, 200, "spelling", shop, "API.Test.:PORT")...)
	return append(list,
		sample{reason, "h2", "same-host", "`:authority: shop.test` beside `host: SHOP.test`", answered(200, reason.String()),
			fields(shop, pseudo("https", "shop.test:PORT", "host", "SHOP.test:PORT")...)},
		sample{reason, "h2", "extended", "extended CONNECT (RFC 8441) for a route that is no upstream", answered(501, reason.String()),
			fields(shop, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "shop.test:PORT", ":path", "/")})
}

func malformed() []sample {
	const reason = authority.MalformedAuthority
	percent, userinfo := "shop%2etest:PORT", "user@shop.test:PORT"
	by := answered(400, reason.String())
	list := misdirected(reason, 400, "percent", shop, percent)
	return append(list,
		sample{reason, "h1", "userinfo", "an absolute-form target with `" + userinfo + "`", by,
			text(shop, "GET https://"+userinfo+"/ HTTP/1.1\nHost: shop.test\n\n")},
		sample{reason, "h1", "http10", "HTTP/1.0 without Host", by, text(shop, "GET / HTTP/1.0\n\n")},
		sample{reason, "h1", "empty", "an empty Host", by, text(shop, "GET / HTTP/1.1\nHost:\n\n")},
		sample{reason, "h1", "missing", "HTTP/1.1 without Host", below("400"), text(shop, "GET / HTTP/1.1\n\n")},
		sample{reason, "h1", "twice", "two Host fields", below("400"), text(shop, "GET / HTTP/1.1\nHost: shop.test\nHost: shop.test\n\n")},
		sample{reason, "h1", "bytes", "`shop<test` as Host", below("400"), text(shop, "GET / HTTP/1.1\nHost: shop<test\n\n")},
		sample{reason, "h2", "empty", "an empty `:authority`", by, fields(shop, pseudo("https", "")...)},
		sample{reason, "h2", "missing", "neither `:authority` nor Host", by, fields(shop, ":method", "GET", ":scheme", "https", ":path", "/")},
		sample{reason, "h2", "twice", "two Host fields beside `:authority`", by, fields(shop, pseudo("https", "shop.test:PORT", "host", "shop.test:PORT", "host", "shop.test:PORT")...)},
		sample{reason, "h2", "userinfo", "`" + userinfo + "`", by, fields(shop, pseudo("https", userinfo)...)},
		sample{reason, "h2", "two-authorities", "two `:authority`", below("RST_STREAM (PROTOCOL_ERROR)"),
			fields(shop, ":method", "GET", ":scheme", "https", ":authority", "shop.test", ":authority", "shop.test", ":path", "/")},
		sample{reason, "h3", "empty", "an empty `:authority`", below("H3_MESSAGE_ERROR"), fields3(shop, pseudo("https", "")...)},
		sample{reason, "h3", "missing", "neither `:authority` nor Host", below("H3_MESSAGE_ERROR"), fields3(shop, ":method", "GET", ":scheme", "https", ":path", "/")},
		sample{reason, "h3", "userinfo", "`" + userinfo + "`", below("H3_MESSAGE_ERROR"), fields3(shop, pseudo("https", userinfo)...)},
		sample{reason, "h3", "twice", "two Host fields", below("H3_MESSAGE_ERROR"),
			fields3(shop, ":method", "GET", ":scheme", "https", ":path", "/", "host", "shop.test:PORT", "host", "shop.test:PORT")},
	)
}

func conflicts() []sample {
	const reason = authority.HostConflict
	return []sample{
		{reason, "h1", "absolute-form", "an absolute-form target beside another Host",
			never("HTTP/1.1 has one Host, and an absolute-form target counts in its place (RFC 9112 section 3.2.2)"),
			func(t *testing.T, s *stage) string {
				got := text(shop, "GET https://shop.test:PORT/ HTTP/1.1\nHost: blog.test:PORT\n\n")(t, s)
				if want := answered(200, "ok"); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				return ""
			}},
		{reason, "h1", "two-hosts", "two Host fields that differ", below("400"),
			text(shop, "GET / HTTP/1.1\nHost: shop.test:PORT\nHost: blog.test:PORT\n\n")},
		{reason, "h2", "gateway", "`:authority: shop.test` beside `host: api.test`", answered(400, reason.String()),
			fields(shop, pseudo("https", "shop.test:PORT", "host", "api.test:PORT")...)},
		{reason, "h2", "library", "`:authority: shop.test` beside `host: api.test`, to `http.Server.ServeTLS` with the guard's hooks (library)",
			answered(400, reason.String()), conflictInLibrary},
		{reason, "h3", "", "`:authority: shop.test` beside `host: api.test`", below("H3_MESSAGE_ERROR"),
			fields3(shop, pseudo("https", "shop.test:PORT", "host", "api.test:PORT")...)},
	}
}

func schemes() []sample {
	const reason = authority.SchemeMismatch
	by := answered(421, reason.String())
	return []sample{
		{reason, "h1", "http", "the target `http://shop.test/` over TLS", by, text(shop, "GET http://shop.test:PORT/ HTTP/1.1\nHost: shop.test:PORT\n\n")},
		{reason, "h1", "https", "the target `https://shop.test/` in plaintext", by, text(plain, "GET https://shop.test:PORT/ HTTP/1.1\nHost: shop.test:PORT\n\n")},
		{reason, "h1", "ftp", "the target `ftp://shop.test/`", by, text(shop, "GET ftp://shop.test:PORT/ HTTP/1.1\nHost: shop.test:PORT\n\n")},
		{reason, "h2", "plaintext", "`:scheme: https` in plaintext", by, fields(plain, pseudo("https", "shop.test:PORT")...)},
		{reason, "h2", "http", "`:scheme: http`", by, fields(shop, pseudo("http", "shop.test:PORT")...)},
		{reason, "h2", "ftp", "`:scheme: ftp`", by, fields(shop, pseudo("ftp", "shop.test:PORT")...)},
		{reason, "h3", "http", "`:scheme: http`", by, fields3(shop, pseudo("http", "shop.test:PORT")...)},
		{reason, "h3", "ftp", "`:scheme: ftp`", by, fields3(shop, pseudo("ftp", "shop.test:PORT")...)},
	}
}

func unknown() []sample {
	const reason = authority.UnknownOrigin
	list := misdirected(reason, 421, "host", shop, "nobody.test:PORT")
	list = append(list, misdirected(reason, 421, "covered", shop, "gone.test:PORT")...)
	list = append(list, misdirected(reason, 421, "port", shop, "shop.test:1")...)
	for _, proto := range protocols {
		list = append(list, sample{reason, proto, "not-found", "the host of the connection itself, which the certificate covers and no site has, with `unknown_host: 404`",
			answered(404, reason.String()), get(proto, on("gone.test"), "gone.test:PORT")})
	}
	return list
}

// notFound says which server a sample is for: the others run under `unknown_host: 421`, the default.
func (c *sample) notFound() bool { return c.name == "not-found" }

func clientAuth() []sample {
	const reason = authority.ClientAuthMismatch
	list := misdirected(reason, 421, "require", shop, "staff.test:PORT")
	return append(list, misdirected(reason, 421, "optional", shop, "members.test:PORT")...)
}

func versions() []sample {
	const reason = authority.TLSVersionMismatch
	list := misdirected(reason, 421, "", tls12, "modern.test:PORT")
	for i := range list {
		if c := &list[i]; c.proto == "h3" {
			c.ask = "`modern.test:PORT` on a connection for `shop.test`"
			c.want = never("QUIC has TLS 1.3 from the start (RFC 9001 section 4.2)")
			c.run = func(t *testing.T, s *stage) string {
				if got, want := get("h3", shop, "modern.test:PORT")(t, s), answered(200, "ok"); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				return ""
			}
		}
	}
	return list
}

func redirects() []sample {
	const reason = authority.Redirect
	return []sample{
		{reason, "h1", "", "`shop.test` in plaintext", answered(308, reason.String()), func(t *testing.T, s *stage) string {
			c := s.plaintext(t, "plain")
			defer c.close()
			return s.observe(t, "h1", func() reply {
				r := c.get(t, "shop.test", "/a?b=c")
				if got, want := r.header.Get("Location"), s.text(t, "https://shop.test:PORT/a?b=c"); got != want {
					t.Errorf("Location: %s, want %s", got, want)
				}
				return r
			})
		}},
		{reason, "h2", "", "`:scheme: http` on a plaintext listener", answered(308, reason.String()), fields(plain, pseudo("http", "shop.test")...)},
		{reason, "h3", "", "`protocols: [h3]` for a plaintext listener", never("HTTP/3 is never in plaintext"), refusesProtocol("h3")},
	}
}

// refusesProtocol shows that no plaintext listener can be made to speak a protocol.
func refusesProtocol(proto string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		file := filepath.Join(s.cast.dir, "plain-"+proto+".yaml")
		config := strings.Replace(s.config("", ""), "scheme: http}", "scheme: http, protocols: ["+proto+"]}", 1)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		_, message, code := command(t, s.cast.dir, "", testenv.UsherBinary(t), "serve", "-c", file)
		if code != 2 || !strings.Contains(message, proto) || !strings.Contains(message, filepath.Base(file)+":") {
			t.Errorf("exit %d:\n%s", code, message)
		}
		return ""
	}
}

func methods() []sample {
	const reason = authority.MethodNotSupported
	by := answered(405, reason.String())
	return []sample{
		{reason, "h1", "", "CONNECT", by, text(shop, "CONNECT shop.test:443 HTTP/1.1\nHost: shop.test:443\n\n")},
		{reason, "h2", "", "CONNECT", by, fields(shop, ":method", "CONNECT", ":authority", "shop.test:443")},
		{reason, "h3", "", "CONNECT", by, fields3(shop, ":method", "CONNECT", ":authority", "shop.test:443")},
		{reason, "h3", "extended", "extended CONNECT (RFC 9220)", by,
			fields3(shop, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "shop.test:PORT", ":path", "/")},
	}
}

// TestVerdicts has each reason seen from outside, over each protocol.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	usual := play(t, "", "")
	lenient := play(t, "unknown_host: 404\ndefault_site: shop", "")
	for _, c := range samples() {
		t.Run(c.test(), func(t *testing.T) {
			s := usual
			if c.notFound() {
				s = lenient
			}
			got := c.run(t, s)
			if !c.never() && got != c.want {
				t.Errorf("%s: %s\nwant %s", c.ask, got, c.want)
			}
		})
	}
}
