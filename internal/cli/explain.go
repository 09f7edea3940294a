package cli

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/gateway/plan"
)

func (s *session) explain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain --sni NAME --host HOST",
		Short: "Explain what is answered to one request on one connection, question by question",
		Long: `Explain what the gateway would answer to a request for --host on a connection that was made with --sni, question by
question, and what the client does then. Nothing is sent: the answer comes from the configuration.

Exit code: 0 the request is served or redirected; 1 it is refused, or there is no connection to send it on; 2 the
configuration or the command line is invalid.

With --json: an object with
  connection  the facts: listener, secure, sni, site, certificate (names), tls, protocol, client_auth, client_verified;
              null where the handshake ends with an alert
  alert       {name, why, hint}, or null
  request     method, scheme, authority
  questions   a list of {question, text, outcome, reason, detail}; outcome is passed, refused, waived or not asked
  verdict     kind, status, reason, waived, site, close; null with an alert
  next        what clients do then
  fresh_connection  what the next try meets, {status, reason, alert}, or null
  cure        what the operator may do; empty: nothing

With --origins it says what the connection is told in its ORIGIN frame (RFC 8336), and why each other site is not in
it. With --json: connection and alert as above; origins, a list; silence, why there is no frame, else empty; absent, a list
of {site, authority, status, reason, because}`,
		Example: `  usher explain --sni www.example.com --host api.example.com
  usher explain --sni "" --host www.example.com                   a client that sends no server name
  usher explain --sni www.example.com --host staff.example.com --client-cert verified --proto h3
  usher explain --origins --sni www.example.com                   what its ORIGIN frame lists
  usher explain --listener plain --scheme http --host www.example.com`,
		Args: noArgs,
	}
	file := configFlag(c)
	f := explainFlags{
		sni:    c.Flags().String("sni", "", `server name of the connection's handshake; "" for none`),
		host:   c.Flags().String("host", "", "host, with port where it is not the default, that is asked for"),
		proto:  choiceFlag(c, "proto", "protocol of the connection", "h2", "h1", "h3"),
		scheme: choiceFlag(c, "scheme", "scheme of the request", "https", "http"),
		tls:    choiceFlag(c, "tls", "TLS version of the connection", "1.3", "1.2"),
		cert:   choiceFlag(c, "client-cert", "what the client shows to sites that ask for a certificate", "none", "verified"),
	}
	f.listener = c.Flags().String("listener", "", "name of the listener (default: the first that fits)")
	f.method = c.Flags().String("method", "GET", "method of the request")
	completeListeners(c, "listener", file)
	complete(c, "method", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT")
	complete(c, "sni")
	complete(c, "host")
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	f.origins = c.Flags().Bool("origins", false, "say what the connection is told in its ORIGIN frame; --host is not needed")
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.given = c.Flags().Changed
		l, err := load(*file)
		if err != nil {
			return err
		}
		p, err := plan.New(l)
		if err != nil {
			return mistakes(*file, err)
		}
		q, err := f.question(p)
		if err != nil {
			return err
		}
		if *f.origins {
			return s.explainOrigins(toldOrigins{q, p.Origins(q.Client)}, *asJSON)
		}
		x := explained{q, p.Explain(q)}
		if *asJSON {
			err = writeJSON(s.stdout, x.object())
		} else {
			x.print(s.stdout, s.paint(s.stdout))
		}
		if err != nil {
			return err
		}
		return x.exit()
	}
	return c
}

func (s *session) explainOrigins(x toldOrigins, asJSON bool) error {
	if asJSON {
		if err := writeJSON(s.stdout, x.object()); err != nil {
			return err
		}
	} else {
		x.print(s.stdout, s.paint(s.stdout))
	}
	return x.exit()
}

type explainFlags struct {
	sni, host, listener, method *string
	proto, scheme, tls, cert    *choice
	origins                     *bool
	given                       func(flag string) bool
}

// question makes of the flags what is asked.
func (f explainFlags) question(p *plan.Plan) (q plan.Question, err error) {
	if !f.given("host") && !*f.origins {
		return q, usageError(`usher explain --sni www.example.com --host api.example.com`, "--host is missing: which host is asked for?")
	}
	q = plan.Question{
		Client: plan.Client{SNI: *f.sni, Protocol: f.proto.value, Certificate: f.cert.value == "verified", Version: tls.VersionTLS13},
		Scheme: authority.ParseScheme(f.scheme.value),
		Host:   *f.host,
		Method: *f.method,
	}
	if q.Listener, err = f.chooseListener(p, q); err != nil {
		return q, err
	}
	if f.tls.value == "1.2" {
		q.Version = tls.VersionTLS12
	}
	plain := q.Listener.Scheme != authority.HTTPS
	switch {
	case plain && !f.given("proto"):
		q.Protocol = "h1"
	case !f.given("proto") && !q.Listener.H2:
		q.Protocol = protocolsOf(q.Listener)[0]
	}
	switch {
	case plain && (f.given("sni") || f.given("tls") || f.given("client-cert")):
		return q, usageError("leave --sni, --tls and --client-cert out, or choose another --listener",
			"listener %q is plaintext: its connections have no handshake", q.Listener.Name)
	case !plain && !f.given("sni"):
		return q, usageError(`--sni "" stands for a client that sends none`, "--sni is missing: which host was the connection made for?")
	case !speaks(q.Listener, q.Protocol):
		return q, usageError("it speaks "+strings.Join(protocolsOf(q.Listener), ", "), "listener %q does not speak %s", q.Listener.Name, q.Protocol)
	case q.Protocol == "h3" && q.Version == tls.VersionTLS12:
		return q, usageError("leave --tls out", "HTTP/3 has TLS 1.3 only (RFC 9001 section 4.2)")
	}
	return q, nil
}

// chooseListener takes the one that is named, else the first that has the request's scheme, the site of the handshake and
// the port of the host.
func (f explainFlags) chooseListener(p *plan.Plan, q plan.Question) (*config.Listener, error) {
	var names []string
	var best *config.Listener
	rank := -1
	a, _ := authority.Parse(q.Host)
	for _, l := range p.Loaded.Listeners {
		names = append(names, l.Name)
		if l.Scheme != q.Scheme && (l.Scheme != authority.HTTPS || !f.given("sni")) {
			continue
		}
		r := 0
		if l.Scheme == q.Scheme {
			r += 4
		}
		q.Listener = l
		if conn, alert := p.Connect(q.Client); alert == nil && p.Serves(l, conn.Site) {
			r += 2
		}
		for _, port := range l.Ports(l.Port) {
			if a.Port() == port {
				r++
			}
		}
		if r > rank {
			best, rank = l, r
		}
	}
	if f.given("listener") {
		if l := p.Listener(*f.listener); l != nil {
			return l, nil
		}
		return nil, usageError("the listeners are "+some(names, 0), "there is no listener %q", *f.listener)
	}
	if best == nil {
		return nil, usageError("the listeners are "+some(names, 0), "there is no listener with scheme %s", q.Scheme)
	}
	return best, nil
}

func protocolsOf(l *config.Listener) (list []string) {
	for _, p := range []string{"h1", "h2", "h3"} {
		if speaks(l, p) {
			list = append(list, p)
		}
	}
	return list
}

func speaks(l *config.Listener, proto string) bool {
	return proto == "h1" && l.H1 || proto == "h2" && l.H2 || proto == "h3" && l.H3
}

// An explained is a question with its answer.
type explained struct {
	q plan.Question
	plan.Explanation
}

func (x explained) exit() error {
	if x.Alert == nil && (x.Verdict.Served() || x.Verdict.Kind() == authority.Elsewhere) {
		return nil
	}
	return &ExitError{Code: exitFailed}
}

// cure is what the operator may do, with the alert's hint where there is no connection.
func (x explained) cure() string {
	if x.Alert != nil {
		return x.Alert.Hint
	}
	if x.Verdict.Waived != authority.OK {
		return usher.Cure(x.Verdict.Waived)
	}
	return usher.Cure(x.Verdict.Reason)
}

// next says what clients do then.
func (x explained) next() string {
	if x.Alert != nil {
		return "there is no connection, and no request is sent"
	}
	switch v := x.Verdict; {
	case v.Served():
		return ""
	case v.Kind() == authority.Elsewhere:
		return fmt.Sprintf("clients follow to https, port %d", v.Port)
	case v.Status() == 400:
		return "clients do not repeat what was malformed"
	case x.Retry == nil:
		return "clients do not repeat it"
	}
	a, _ := authority.Parse(x.q.Host)
	fresh := fmt.Sprintf("clients that follow RFC 9110 section 15.5.20 retry once, on a fresh connection for %q: ", a.Host())
	switch r := x.Retry; {
	case r.Alert != nil && r.Alert.Name == "certificate_required":
		return fresh + "its handshake asks for a client certificate, and without one it ends with the alert certificate_required"
	case r.Alert != nil:
		return fresh + "its handshake ends with the alert " + r.Alert.Name
	case r.Verdict.Served():
		return fresh + fmt.Sprintf("there site %q serves it", r.Verdict.Site.Name)
	}
	return fresh + "there the answer is " + answerWords(x.Retry.Verdict) + " too"
}
