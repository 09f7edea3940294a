package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/plan"
)

// Without --all a table names this many sites in a cell, and has this many rows.
const (
	mostNames = 6
	mostRows  = 20
)

// printShares writes which sites share connections, a table for each listener.
func (s *session) printShares(p palette, shares []plan.Share, all bool) {
	if len(shares) == 0 {
		fmt.Fprint(s.stdout, "No two sites share connections: browsers open one for each.\n\n")
		return
	}
	for len(shares) > 0 {
		listener := shares[0].Listener
		n := slices.IndexFunc(shares, func(x plan.Share) bool { return x.Listener != listener })
		if n < 0 {
			n = len(shares)
		}
		s.printShared(p, listener, shares[:n], all)
		shares = shares[n:]
	}
}

func (s *session) printShared(p palette, listener string, shares []plan.Share, all bool) {
	fmt.Fprintf(s.stdout, "On listener %q browsers would send, over HTTP/2 and HTTP/3,\n\n", listener)
	names := mostNames
	if all {
		names = 0
	}
	t := newTable(p, []int{24, 20, 24, 26}, "on a connection for", "a request for", "answered with", "and on a fresh one")
	left := 0
	for i := range shares {
		if !all && i >= mostRows {
			left += shares[i].Pairs()
			continue
		}
		t.AppendRow(shareRow(p, &shares[i], names))
	}
	render(s.stdout, t)
	if left > 0 {
		fmt.Fprintf(s.stdout, "and %s (--all shows them)\n", counted(left, "more pair of sites", "more pairs of sites"))
	}
	fmt.Fprintln(s.stdout)
}

func shareRow(p palette, x *plan.Share, names int) table.Row {
	from := some(x.From, names)
	switch x.Certificate {
	case plan.WithCertificate:
		from += " (with a client certificate)"
	case plan.NoCertificate:
		from += " (without a client certificate)"
	}
	to := some(x.To, names)
	if len(x.From) > 1 && slices.Equal(x.From, x.To) {
		to = "each other"
		if len(x.From) == 2 {
			to = "the other"
		}
	}
	if x.Verdict.Served() {
		answer := p.good("served")
		if x.Verdict.Waived != authority.OK {
			answer = p.warn("served, because of mode observe: else 421 " + x.Verdict.Waived.String())
		}
		return table.Row{from, to, answer, ""}
	}
	return table.Row{from, to, p.warn(answerWords(x.Verdict)), thenWords(p, x)}
}

// answerWords writes status and reason.
func answerWords(v authority.Verdict) string {
	return strconv.Itoa(v.Status()) + " " + v.Reason.String()
}

func thenWords(p palette, x *plan.Share) string {
	switch {
	case x.Retry == nil:
		return ""
	case x.Retry.Alert != nil:
		return p.bad("alert " + x.Retry.Alert.Name)
	case !x.Retry.Verdict.Served():
		return p.bad(answerWords(x.Retry.Verdict))
	case x.Verdict.Site != nil && x.Verdict.Site.ClientAuth == authority.Require:
		return p.good("served") + ", to clients with a certificate"
	}
	return p.good("served")
}

// checkObject is what `usher check --json` writes.
type checkObject struct {
	File   string         `json:"file"`
	Result string         `json:"result"` // ok, hazards or invalid
	Errors []finding      `json:"errors"`
	Hazard []hazardObject `json:"hazards"`
	Shared []shareObject  `json:"shared_connections"`
	Frames []frameObject  `json:"origin_frames"`
}

// shareObject is a set of pairs of sites: every site of ConnectionFor with every other site of RequestFor.
type shareObject struct {
	Listener          string        `json:"listener"`
	ConnectionFor     []string      `json:"connection_for"`
	RequestFor        []string      `json:"request_for"`
	ClientCertificate string        `json:"client_certificate"` // with, without, or empty where it does not matter
	Example           string        `json:"example"`            // an authority that is asked for
	Answer            answerObject  `json:"answer"`
	Fresh             *answerObject `json:"fresh_connection"` // what the next try meets; null where the request is served
}

// answerObject is a verdict, or the alert that a handshake ends with.
type answerObject struct {
	Status int    `json:"status"`           // 0 with an alert
	Reason string `json:"reason"`           // empty with an alert
	Waived string `json:"waived,omitempty"` // what mode observe let pass
	Alert  string `json:"alert,omitempty"`
}

func (r checked) object() checkObject {
	o := checkObject{File: r.file, Result: r.result(), Errors: []finding{}, Hazard: []hazardObject{}, Shared: []shareObject{}, Frames: framesOf(r.frames)}
	for _, e := range r.errs {
		o.Errors = append(o.Errors, finding{e.File, e.Line, e.Column, e.Path, e.Message, e.Hint})
	}
	if r.loaded != nil {
		for _, h := range r.loaded.Hazards {
			o.Hazard = append(o.Hazard, hazardObject{string(h.Kind), h.Kind.Severity(), finding{h.File, h.Line, h.Column, h.Path, h.Message, h.Hint}})
		}
	}
	for _, x := range r.shares {
		o.Shared = append(o.Shared, shareObject{
			Listener: x.Listener, ConnectionFor: x.From, RequestFor: x.To, ClientCertificate: string(x.Certificate),
			Example: x.Example, Answer: answerOf(x.Verdict), Fresh: retryOf(x.Retry),
		})
	}
	return o
}

func answerOf(v authority.Verdict) answerObject {
	o := answerObject{Status: v.Status(), Reason: v.Reason.String()}
	if v.Waived != authority.OK {
		o.Waived = v.Waived.String()
	}
	return o
}

func retryOf(r *plan.Retry) *answerObject {
	if r == nil {
		return nil
	}
	if r.Alert != nil {
		return &answerObject{Alert: r.Alert.Name}
	}
	o := answerOf(r.Verdict)
	return &o
}
