package suite

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/wire"
)

// A Case is one question to a server. README.md says what the words mean.
type Case struct {
	ID         string          `json:"id"`
	Title      string          `json:"title"`
	Protocols  []wire.Protocol `json:"protocols"`
	Connection Connection      `json:"connection"`
	Request    Request         `json:"request"`
	Expect     Expect          `json:"expect"`
	Reason     string          `json:"reason"`
	RFC        string          `json:"rfc"`
}

// A Connection says how the connection is made.
type Connection struct {
	SNI         string `json:"sni"`         // a host of the suite; empty: none is sent
	Form        string `json:"form"`        // upper: in upper case
	Certificate bool   `json:"certificate"` // the client certificate is shown
	Session     string `json:"session"`     // the host whose session is presented
	TLS         string `json:"tls"`         // 1.2 or 1.3; empty: the best
}

// A Request says what is asked.
type Request struct {
	Authority string `json:"authority"` // a host of the suite
	Second    string `json:"second"`    // the other one, where two are named
	Form      string `json:"form"`
	Look      string `json:"look"` // at what of a 421
}

// Expect says what an answer is worth. What fits nothing is wrong.
type Expect struct {
	Right      []string `json:"right"`
	OverStrict []string `json:"over_strict"`
	Wrong      []string `json:"wrong"`
	Dangerous  []string `json:"dangerous"`
}

//go:embed cases.json
var casesText []byte

// Cases returns all cases.
func Cases() []Case {
	var list []Case
	d := json.NewDecoder(bytes.NewReader(casesText))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		panic(fmt.Sprintf("cases.json: %v", err)) // it is part of the program
	}
	return list
}

// Hosts are the hosts of the suite, by the words that the cases use. nobody is one that the server must not have.
var Hosts = []string{"one", "two", "staff", "blog", "a.wild", "b.wild"}

// Name is the whole name of a host.
func Name(host string) string { return host + ".suite.test" }

// Content is what a host answers to GET / with, and nothing else.
func Content(host string) string { return "usher suite: " + host + "\n" }

// A Verdict says what an answer is worth.
type Verdict string

const (
	Right      Verdict = "right"
	OverStrict Verdict = "over-strict" // safe, and costs connections or clients
	Wrong      Verdict = "wrong"       // against a rule
	Dangerous  Verdict = "dangerous"   // somebody gets what is not meant for him
	Skipped    Verdict = "skipped"     // the server does not speak the protocol
)

// Judge tells what an answer is worth, given the words that describe it: the best that any of them earns, but dangerous where one is.
func (e *Expect) Judge(answer []string) Verdict {
	fits := func(list []string) bool {
		return slices.ContainsFunc(answer, func(word string) bool {
			return slices.ContainsFunc(list, func(pattern string) bool {
				prefix, any := strings.CutSuffix(pattern, "*")
				return word == pattern || any && strings.HasPrefix(word, prefix)
			})
		})
	}
	// A word in full counts more than a pattern: content:one may be right where content:* is dangerous.
	switch {
	case fits(e.Wrong) && slices.Contains(answer, "resumed"):
		return Wrong
	case fits(e.Right):
		return Right
	case fits(e.OverStrict):
		return OverStrict
	case fits(e.Wrong):
		return Wrong
	case fits(e.Dangerous):
		return Dangerous
	}
	return Wrong
}

// describe puts an observation into the words of the cases.
func describe(c *Case, x *probe.Observation) []string {
	if x.Failure != "" {
		return []string{string(x.Failure)}
	}
	r := &x.Replies[0]
	var list []string
	if r.Facts.Resumed && c.Connection.Session != "" {
		list = append(list, "resumed")
	}
	switch {
	case r.Failure != "":
		return append(list, string(r.Failure))
	case c.Request.Look != "":
		return append(list, looked(c.Request.Look, r)...)
	case r.Status >= 300 && r.Status < 400:
		return append(list, "redirect")
	case r.Status >= 200 && r.Status < 300:
		return append(list, "content:"+whose(r.Body))
	}
	return append(list, fmt.Sprint(r.Status))
}

func whose(body []byte) string {
	for _, host := range Hosts {
		if strings.TrimSpace(string(body)) == strings.TrimSpace(Content(host)) {
			return host
		}
	}
	return "unknown"
}

// looked says what is good about a 421.
func looked(at string, r *probe.Reply) []string {
	if r.Status != 421 {
		return []string{"no 421: " + fmt.Sprint(r.Status)}
	}
	good := false
	switch at {
	case "no-store":
		good = strings.Contains(strings.ToLower(r.Field("cache-control")), "no-store")
	case "no-alt-svc":
		good = r.Field("alt-svc") == ""
	case "usable":
		good = r.After != nil && r.After.OK() && r.After.Status == 200
	}
	if good {
		return []string{at}
	}
	return []string{"421, not " + at}
}
