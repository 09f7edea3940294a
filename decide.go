package usher

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/usher-http/usher/authority"
)

// An Error is a refusal. Its text is for logs; the client is told none of it.
type Error struct {
	Verdict   authority.Verdict
	Authority string // as the request has it
	SNI       string // that the connection was made with
}

func (e *Error) Error() string {
	return fmt.Sprintf("usher: %s: %d for authority %q on a connection with SNI %q",
		e.Verdict.Reason, e.Verdict.Status(), e.Authority, e.SNI)
}

// Decide returns the verdict for a request. It changes nothing and does not allocate for a host that the
// connection has asked for before. [Guard.Check] and [Guard.Handler] are made of it.
func (g *Guard) Decide(r *http.Request) authority.Verdict {
	v, _ := g.decide(r)
	return v
}

func (g *Guard) decide(r *http.Request) (authority.Verdict, *authority.Conn) {
	s := g.current() // once: facts and table are of one configuration
	rec := g.record(r.Context())
	if rec == nil {
		c := g.unrecorded(r, s)
		return g.decideOn(c, s, r), c
	}
	c := g.factsOf(rec, r.TLS, s)
	v := g.decideOn(c, s, r)
	if c != nil && rec.mustLeave(s, c) {
		v.Close = true
	}
	return v, c
}

func (g *Guard) decideOn(c *authority.Conn, s *state, r *http.Request) authority.Verdict {
	if c == nil {
		return authority.Answer(authority.NoFacts)
	}
	if r.Method == http.MethodConnect {
		return authority.Answer(authority.MethodNotSupported)
	}
	q, ok := g.requestOf(r, c)
	if !ok {
		return authority.Answer(authority.NoFacts)
	}
	v := s.table.Decide(c, q)
	if v.Served() && early(r, v.Site) {
		return authority.Answer(authority.EarlyData)
	}
	return v
}

// early holds for requests in early data to sites with client authentication, and without sites for those of clients that have shown a
// certificate: a replayed one would act with it (RFC 8470 section 5.2).
func early(r *http.Request, s *authority.Site) bool {
	switch {
	case r.TLS == nil || r.TLS.HandshakeComplete:
		return false
	case s == nil:
		return len(r.TLS.PeerCertificates) > 0
	}
	return s.ClientAuth != None
}

// Conn returns the facts of the request's connection, nil where there are none. The caller must not change them.
func (g *Guard) Conn(r *http.Request) *authority.Conn { return g.conn(r, g.current()) }

// Check returns nil if the request may be served on its connection, else an [*Error] that carries the verdict.
func (g *Guard) Check(r *http.Request) error {
	v, c := g.decide(r)
	if v.Served() {
		return nil
	}
	return errorOf(v, r, c)
}

func errorOf(v authority.Verdict, r *http.Request, c *authority.Conn) *Error {
	e := &Error{Verdict: v, Authority: r.Host}
	if c != nil {
		e.SNI = c.SNI
	}
	return e
}

// Handler serves with next what the connection is entitled to, and refuses the rest.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, c := g.decide(r)
		if !v.Served() || Observed(v, c) != authority.OK {
			g.log(r.Context(), v, r, c)
		}
		if !v.Served() {
			g.Refuse(w, r, v)
			return
		}
		if v.Close {
			w.Header()["Connection"] = closing
		}
		if r.Method == http.MethodOptions && r.RequestURI == "*" {
			w.Header().Set("Content-Length", "0")
			return
		}
		next.ServeHTTP(w, g.Admit(r, v))
	})
}

// Observed returns what observe mode let pass: the reason for which enforce mode would have refused the request. What a
// trusted gateway is excused from does not count.
func Observed(v authority.Verdict, c *authority.Conn) authority.Reason {
	if c == nil || c.Trusted || c.Terminated {
		return authority.OK
	}
	return v.Waived
}

// Admit returns the request as its site may see it: Client-Cert fields only from trusted gateways and only under their proper names,
// and no client certificate where the site wants none. It returns r itself where nothing must be hidden.
func (g *Guard) Admit(r *http.Request, v authority.Verdict) *http.Request {
	if r.Header[clientCertField] != nil || r.Header[clientCertChainField] != nil {
		if !PassesClientCert(v, g.Conn(r)) {
			delete(r.Header, clientCertField)
			delete(r.Header, clientCertChainField)
		}
	}
	for _, name := range clientCertMisspelt {
		if r.Header[name] != nil {
			delete(r.Header, name)
		}
	}
	if v.Site == nil || v.Site.ClientAuth != None || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return r
	}
	hidden := *r.TLS
	hidden.PeerCertificates, hidden.VerifiedChains = nil, nil
	admitted := new(http.Request)
	*admitted = *r
	admitted.TLS = &hidden
	return admitted
}

// PassesClientCert reports whether the site of the verdict may see the request's own fields Client-Cert and Client-Cert-Chain: those
// of a trusted gateway, where the site asks for client certificates. From anybody else they are a lie (RFC 9440 section 4).
func PassesClientCert(v authority.Verdict, c *authority.Conn) bool {
	return c != nil && c.Trusted && v.Site != nil && v.Site.ClientAuth != None
}

func (g *Guard) log(ctx context.Context, v authority.Verdict, r *http.Request, c *authority.Conn) {
	l := g.logger()
	if !l.Enabled(ctx, slog.LevelInfo) {
		return
	}
	what, reason := "request refused", v.Reason
	if v.Served() {
		what, reason = "request would be refused", v.Waived
	}
	attrs := []slog.Attr{
		slog.String("reason", reason.String()),
		slog.Int("status", v.Status()),
		slog.String("authority", r.Host),
		slog.String("proto", r.Proto),
	}
	if c != nil {
		attrs = append(attrs, slog.String("sni", c.SNI), slog.String("handshake_site", c.Site), slog.Bool("resumed", c.Resumed))
	}
	if v.Site != nil {
		attrs = append(attrs, slog.String("site", v.Site.Name))
	}
	if cure := Cure(reason); cure != "" {
		attrs = append(attrs, slog.String("cure", cure))
	}
	l.LogAttrs(ctx, slog.LevelInfo, "usher: "+what, attrs...)
}

// Cure says to an operator what a reason means and what to do about it.
func Cure(r authority.Reason) string { return cures[r] }

var cures = map[authority.Reason]string{
	authority.MalformedAuthority:  "the client sends a Host or :authority that is none; nothing to do here",
	authority.HostConflict:        "the client names two hosts; look for a proxy that rewrites Host and leaves :authority",
	authority.SchemeMismatch:      "the client asks for another scheme than the connection has; look for a proxy that terminates TLS and keeps the scheme",
	authority.UnknownOrigin:       "no site has this host and port: add the host to a site, or a public port to the listener",
	authority.WrongListener:       "the site is not served on this listener: check the site's listeners and the client's port",
	authority.CertificateMismatch: "the certificate of this connection does not cover the host: clients come back on a new connection; one that does not was not made for this host",
	authority.ClientAuthMismatch:  "the site wants client authentication that this connection did not pass: browsers come back on a new connection; give the site a certificate of its own to save the detour",
	authority.TLSVersionMismatch:  "the site wants a newer TLS version than this connection has",
	authority.CoalescingRefused:   "the site wants connections of its own: clients come back on a new one; give it a certificate of its own to save the detour",
	authority.Redirect:            "http is not served for this site",
	authority.EarlyData:           "clients repeat the request after the handshake",
	authority.MethodNotSupported:  "CONNECT is for forward proxies, which this server is not",
	authority.NoFacts:             "a hook of the guard is missing; the log names it once",
}
