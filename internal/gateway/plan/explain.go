package plan

import (
	"github.com/usher-http/usher/authority"
)

// A Question is one request on one connection.
type Question struct {
	Client
	Scheme authority.Scheme
	Host   string // as it stands in Host or :authority
	Method string // empty: GET
}

// An Explanation is what happens to a request and why.
type Explanation struct {
	// Alert is set where no connection comes about; then nothing else is.
	Alert   *Alert
	Conn    *authority.Conn
	Steps   []authority.Step // none for answers beside the table
	Verdict authority.Verdict
	// Retry is what the client's next try meets, on a connection that is made for the host; nil where it has no reason for
	// one.
	Retry *Retry
}

// A Retry is a request on a fresh connection: one that ended with an alert, or the verdict on it.
type Retry struct {
	Alert   *Alert
	Verdict authority.Verdict
}

// Served reports whether the retry succeeds.
func (r *Retry) Served() bool { return r.Alert == nil && r.Verdict.Served() }

// Explain asks the questions of the decision, one after the other.
func (p *Plan) Explain(q Question) Explanation {
	conn, alert := p.Connect(q.Client)
	if alert != nil {
		return Explanation{Alert: alert}
	}
	e := Explanation{Conn: conn}
	if q.Method == "CONNECT" {
		e.Verdict = authority.Answer(authority.MethodNotSupported)
		return e
	}
	e.Steps, e.Verdict = p.table.Explain(conn, authority.Request{Scheme: q.Scheme, Authority: q.Host})
	if e.Verdict.Status() == 421 {
		e.Retry = p.retry(q)
	}
	return e
}

// retry asks again on a connection that is made for the request's host. RFC 9110 section 15.5.20 lets any client do that.
func (p *Plan) retry(q Question) *Retry {
	a, err := authority.Parse(q.Host)
	if err != nil {
		return nil
	}
	c := q.Client
	if c.SNI = a.Host(); a.IsIP() {
		c.SNI = ""
	}
	conn, alert := p.Connect(c)
	if alert != nil {
		return &Retry{Alert: alert}
	}
	return &Retry{Verdict: p.table.Decide(conn, authority.Request{Scheme: q.Scheme, Authority: q.Host})}
}
