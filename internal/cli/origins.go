package cli

import (
	"fmt"
	"io"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway/plan"
)

// A toldOrigins is what `usher explain --origins` says: what the connection is told in its ORIGIN frame.
type toldOrigins struct {
	q plan.Question
	plan.Told
}

func (x toldOrigins) exit() error {
	if x.Alert != nil {
		return &ExitError{Code: exitFailed}
	}
	return nil
}

func (x toldOrigins) print(w io.Writer, p palette) {
	e := explained{q: x.q, Explanation: plan.Explanation{Alert: x.Alert, Conn: x.Conn}}
	t := newTable(p, []int{12, 84})
	for _, row := range e.facts() {
		if row[0] != "request" {
			t.AppendRow([]any{p.faint(row[0]), row[1]})
		}
	}
	if x.Alert != nil {
		t.AppendRow([]any{p.faint("answer"), e.answer(p)})
	}
	render(w, t)
	if x.Alert != nil {
		return
	}
	fmt.Fprintln(w)
	if x.Silence != authority.NotSilent {
		fmt.Fprintf(w, "%s: %s.\n", p.warn("No ORIGIN frame is sent"), x.Silence)
	} else {
		fmt.Fprintf(w, "The ORIGIN frame lists %s:\n\n", counted(len(x.Origins), "origin", "origins"))
		for _, o := range x.Origins {
			fmt.Fprintf(w, "  %s\n", p.good(o.String()))
		}
	}
	if len(x.Absent) == 0 {
		return
	}
	fmt.Fprint(w, "\nNot in it:\n\n")
	t = newTable(p, []int{24, 30, 44}, "site", "asked for as", "because")
	for _, a := range x.Absent {
		t.AppendRow([]any{a.Site, a.Authority, x.because(a)})
	}
	render(w, t)
}

// because says why a site is not in the frame.
func (x toldOrigins) because(a plan.Absent) string {
	switch v := a.Verdict; {
	case !v.Served():
		return "on this connection the answer is " + answerWords(v)
	case v.Waived != authority.OK:
		return "it is served because of mode observe alone; enforced it would be 421 " + v.Waived.String()
	case x.Silence != authority.NotSilent:
		return "it is served on this connection, but no frame says so"
	case x.Capped:
		return "it is served on this connection, but the frame is full"
	}
	return "it is served on this connection, but the certificate does not name it literally"
}

// toldObject is what `usher explain --origins --json` writes.
type toldObject struct {
	Connection *connObject    `json:"connection"`
	Alert      *alertObject   `json:"alert"`
	Origins    []string       `json:"origins"`
	Silence    string         `json:"silence"`
	Absent     []absentObject `json:"absent"`
}

type absentObject struct {
	Site      string `json:"site"`
	Authority string `json:"authority"`
	Status    int    `json:"status"`
	Reason    string `json:"reason"`
	Because   string `json:"because"`
}

func (x toldOrigins) object() toldObject {
	e := explained{q: x.q, Explanation: plan.Explanation{Alert: x.Alert, Conn: x.Conn}}.object()
	o := toldObject{Connection: e.Connection, Alert: e.Alert, Origins: []string{}, Silence: string(x.Silence), Absent: []absentObject{}}
	for _, origin := range x.Origins {
		o.Origins = append(o.Origins, origin.String())
	}
	for _, a := range x.Absent {
		o.Absent = append(o.Absent, absentObject{a.Site, a.Authority, a.Verdict.Status(), a.Verdict.Reason.String(), x.because(a)})
	}
	return o
}

// printFrames writes, for `usher check`, which connections are told what in ORIGIN frames.
func (s *session) printFrames(p palette, frames []plan.Frame, all bool) {
	if len(frames) == 0 {
		return
	}
	names := mostNames
	if all {
		names = 0
	}
	fmt.Fprint(s.stdout, "ORIGIN frames tell HTTP/2 connections which origins they may carry:\n\n")
	t := newTable(p, []int{16, 30, 48}, "listener", "on a connection for", "the frame")
	for i, f := range frames {
		if !all && i >= mostRows {
			t.AppendRow([]any{"", counted(len(frames)-i, "more row", "more rows") + " (--all)", ""})
			break
		}
		what := "lists " + counted(f.Origins, "origin", "origins")
		switch {
		case f.Silence != authority.NotSilent:
			what = p.warn("is not sent: ") + string(f.Silence)
		case f.Capped:
			what += p.warn(", which is the cap")
		}
		t.AppendRow([]any{f.Listener, some(f.Sites, names), what})
	}
	render(s.stdout, t)
	fmt.Fprintln(s.stdout)
}

// frameObject is what the connections of some sites are told.
type frameObject struct {
	Listener      string   `json:"listener"`
	ConnectionFor []string `json:"connection_for"`
	Origins       int      `json:"origins"`
	Silence       string   `json:"silence"` // why no frame is sent; empty: one is
	Capped        bool     `json:"capped"`
}

func framesOf(frames []plan.Frame) []frameObject {
	list := []frameObject{}
	for _, f := range frames {
		list = append(list, frameObject{f.Listener, f.Sites, f.Origins, string(f.Silence), f.Capped})
	}
	return list
}
