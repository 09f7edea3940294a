package cli

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"

	"github.com/usher-http/usher/authority"
)

// print writes an explanation for people.
func (x explained) print(w io.Writer, p palette) {
	t := newTable(p, []int{12, 84})
	for _, row := range x.facts() {
		t.AppendRow([]any{p.faint(row[0]), row[1]})
	}
	render(w, t)
	fmt.Fprintln(w)
	if len(x.Steps) > 0 {
		x.printSteps(w, p)
		fmt.Fprintln(w)
	}
	t = newTable(p, []int{12, 84})
	t.AppendRow([]any{p.faint("answer"), x.answer(p)})
	for _, row := range [][2]string{{"then", x.next()}, {"cure", x.cure()}} {
		if row[1] != "" {
			t.AppendRow([]any{p.faint(row[0]), row[1]})
		}
	}
	render(w, t)
}

// facts are the connection and the request.
func (x explained) facts() [][2]string {
	listener := fmt.Sprintf("on listener %q", x.q.Listener.Name)
	request := [2]string{"request", fmt.Sprintf("%s %s://%s/", x.q.Method, x.q.Scheme, x.q.Host)}
	if x.q.Method == "CONNECT" {
		request[1] = "CONNECT " + x.q.Host
	}
	if x.Alert == nil && !x.Conn.Secure {
		return [][2]string{{"connection", listener + ", plaintext " + protocolName(x.q.Protocol)}, request}
	}
	sni := "no SNI"
	if x.q.SNI != "" {
		sni = fmt.Sprintf("SNI %q", x.q.SNI)
		if authority.CanonicalSNI(x.q.SNI) == "" {
			sni += " (no host name: counts as absent)"
		}
	}
	rows := [][2]string{{"connection", fmt.Sprintf("%s, %s, %s, %s", listener, protocolName(x.q.Protocol), tls.VersionName(x.q.Version), sni)}}
	if x.Alert != nil {
		return append(rows, request)
	}
	return append(rows,
		[2]string{"site", fmt.Sprintf("%q, chosen at the handshake", x.Conn.Site)},
		[2]string{"certificate", "for " + some(x.Conn.Names[0].All(), 12)},
		[2]string{"client", x.client()},
		request)
}

func (x explained) client() string {
	switch {
	case x.Conn.Verified:
		return "showed a certificate, which was verified"
	case x.Conn.ClientAuth != authority.None:
		return "was asked for a certificate and showed none"
	case x.q.Certificate:
		return "has a certificate, but was not asked for one"
	}
	return "was not asked for a certificate"
}

func protocolName(p string) string {
	switch p {
	case "h1":
		return "HTTP/1.1"
	case "h2":
		return "HTTP/2"
	}
	return "HTTP/3"
}

func (x explained) printSteps(w io.Writer, p palette) {
	t := newTable(p, []int{0, 10, 84})
	for _, step := range x.Steps {
		text, word := step.Text, ""
		switch step.Outcome {
		case authority.Passed:
			word = p.good("yes")
		case authority.Refused:
			word, text = p.bad("NO"), p.bold(text)
		case authority.Waived:
			word = p.warn("no, waived")
		case authority.NotAsked:
			word, text = p.faint("-"), p.faint(text)
		}
		t.AppendRow([]any{step.Question, word, text})
		// A row of its own, because a table wraps a cell as one paragraph.
		if step.Detail != "" {
			t.AppendRow([]any{"", "", p.faint(step.Detail)})
		}
	}
	render(w, t)
}

func (x explained) answer(p palette) string {
	if x.Alert != nil {
		return p.bad("alert "+x.Alert.Name) + ": " + x.Alert.Why
	}
	switch v := x.Verdict; {
	case v.Served() && v.Waived != authority.OK:
		return p.warn("served") + fmt.Sprintf(" by site %q, because of mode observe; enforced it would be 421 %s", v.Site.Name, v.Waived)
	case v.Served():
		return p.good("served") + fmt.Sprintf(" by site %q", v.Site.Name)
	case v.Close:
		return p.bad(answerWords(v)) + "; the connection was made for this very host, and is closed"
	case v.Status() == 421:
		return p.bad(answerWords(v)) + "; the connection stays usable for other hosts"
	default:
		return p.bad(answerWords(v))
	}
}

// explainObject is what `usher explain --json` writes.
type explainObject struct {
	Connection *connObject      `json:"connection"`
	Alert      *alertObject     `json:"alert"`
	Request    requestObject    `json:"request"`
	Questions  []authority.Step `json:"questions"`
	Verdict    *verdictObject   `json:"verdict"`
	Next       string           `json:"next"`
	Fresh      *answerObject    `json:"fresh_connection"`
	Cure       string           `json:"cure"`
}

type connObject struct {
	Listener       string   `json:"listener"`
	Secure         bool     `json:"secure"`
	SNI            string   `json:"sni"`
	Site           string   `json:"site"`
	Certificate    []string `json:"certificate"`
	TLS            string   `json:"tls"` // 1.2 or 1.3; empty on plaintext
	Protocol       string   `json:"protocol"`
	ClientAuth     string   `json:"client_auth"`
	ClientVerified bool     `json:"client_verified"`
}

type alertObject struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Hint string `json:"hint"`
}

type requestObject struct {
	Method    string `json:"method"`
	Scheme    string `json:"scheme"`
	Authority string `json:"authority"`
}

type verdictObject struct {
	Kind   string `json:"kind"`
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Waived string `json:"waived"` // empty: nothing
	Site   string `json:"site"`   // empty: none
	Close  bool   `json:"close"`
}

func (x explained) object() explainObject {
	o := explainObject{
		Request:   requestObject{x.q.Method, x.q.Scheme.String(), x.q.Host},
		Questions: []authority.Step{},
		Next:      x.next(),
		Cure:      x.cure(),
	}
	if x.Alert != nil {
		o.Alert = &alertObject{x.Alert.Name, x.Alert.Why, x.Alert.Hint}
		return o
	}
	c, v := x.Conn, x.Verdict
	o.Connection = &connObject{
		Listener: c.Listener, Secure: c.Secure, SNI: c.SNI, Site: c.Site, Certificate: []string{}, Protocol: x.q.Protocol,
		ClientAuth: c.ClientAuth.String(), ClientVerified: c.Verified,
	}
	if c.Secure {
		o.Connection.TLS = strings.TrimPrefix(tls.VersionName(c.Version), "TLS ")
		o.Connection.Certificate = c.Names[0].All()
	}
	o.Questions = append(o.Questions, x.Steps...)
	o.Verdict = &verdictObject{Kind: v.Kind().String(), Status: v.Status(), Reason: v.Reason.String(), Close: v.Close}
	if v.Waived != authority.OK {
		o.Verdict.Waived = v.Waived.String()
	}
	if v.Site != nil {
		o.Verdict.Site = v.Site.Name
	}
	o.Fresh = retryOf(x.Retry)
	return o
}
