package probe

import (
	"fmt"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// An ID is the stable name of a kind of finding.
type ID string

const (
	Bypass       ID = "bypass"        // content of a site behind client authentication without it
	WrongContent ID = "wrong-content" // one host's content for another one
	Uncovered    ID = "uncovered"     // content without a certificate that covers the host
	NotRetried   ID = "not-retried"   // 404, 400, 403 or a reset where 421 was due
	OverStrict   ID = "over-strict"   // 421 where reuse was legal
	Hygiene      ID = "421-hygiene"   // a 421 that can be stored, tells too much or ends the connection
	Loop         ID = "loop"          // a 421 on the host's own connection
	Parse        ID = "parse"         // an authority that is malformed or ambiguous is served
	Origin       ID = "origin"        // an ORIGIN frame that is malformed, or that is not kept to
)

// IDs are all kinds of findings.
func IDs() []ID {
	return []ID{Bypass, WrongContent, Uncovered, NotRetried, OverStrict, Hygiene, Loop, Parse, Origin}
}

// A Severity says how bad it is.
type Severity int

const (
	Info     Severity = iota // costs something, harms nobody
	Low                      // against a rule, harm needs more than a browser
	Medium                   // harm is near
	High                     // visitors see it
	Critical                 // what is protected is open
)

var severityWords = [...]string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if s >= 0 && int(s) < len(severityWords) {
		return severityWords[s]
	}
	return fmt.Sprintf("severity(%d)", int(s))
}

// Severities are their words, from the least.
func Severities() []string { return severityWords[:] }

func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Severity) UnmarshalText(text []byte) error {
	for i, word := range severityWords {
		if word == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", text)
}

// A Finding is something to be mended. Its texts are whole sentences or lines for people.
type Finding struct {
	ID         ID            `json:"id"`
	Severity   Severity      `json:"severity"`
	Check      Check         `json:"check"`
	Kind       Kind          `json:"kind,omitempty"` // what was odd about the request or the connection
	Protocol   wire.Protocol `json:"protocol"`
	Address    string        `json:"address"`
	Connection string        `json:"connection"` // whose connection, or session, it was; empty: nobody's
	Host       string        `json:"host"`       // who was asked for
	Sent       string        `json:"sent"`
	Got        string        `json:"got"`
	Why        string        `json:"why"`
	RFC        string        `json:"rfc"`
	Cure       string        `json:"cure"`
	Server     string        `json:"server,omitempty"`  // whose configuration the snippet is for
	Snippet    string        `json:"snippet,omitempty"` // of a configuration
	Try        string        `json:"try,omitempty"`     // a command that shows it
	Key        string        `json:"key"`               // the same for the same finding in another run
}

// key names what a finding is about and nothing that changes from run to run.
func (f *Finding) key() string {
	return strings.Join([]string{string(f.ID), string(f.Check), string(f.Kind), string(f.Protocol), f.Connection, f.Host}, "|")
}

// An Outcome says what became of a request on another host's connection.
type Outcome string

const (
	Served       Outcome = "served"        // with the host's own content, or its own error
	Refused      Outcome = "refused"       // 421
	OwnOnly      Outcome = "own-only"      // 421 though reuse was legal, by a host that seems to want connections of its own
	TooStrict    Outcome = "over-strict"   // 421 though reuse was legal
	Wrong        Outcome = "wrong-content" // another content than the host's own
	Open         Outcome = "bypass"
	NotCovered   Outcome = "uncovered"
	Broken       Outcome = "not-retried"
	CannotTell   Outcome = "unsure"
	NoConnection Outcome = "no-connection" // there was none to ask on
)

// A Pair is a host that was asked for on another one's connection.
type Pair struct {
	Connection  string        `json:"connection"`
	Host        string        `json:"host"`
	Protocol    wire.Protocol `json:"protocol"`
	Address     string        `json:"address"`
	Certificate bool          `json:"client_certificate"` // ours was shown
	Covered     bool          `json:"covered"`            // by the certificate of the connection
	Coalescible bool          `json:"coalescible"`        // a browser might do it
	Reasons     []string      `json:"reasons"`
	Status      int           `json:"status"` // 0: no answer
	Failure     wire.Failure  `json:"failure,omitempty"`
	Outcome     Outcome       `json:"outcome"`
	Content     Content       `json:"content"` // whose content came
}

// Content says whose content an answer holds.
type Content string

const (
	OfHost       Content = "host"       // who was asked for
	OfConnection Content = "connection" // whose connection it is
	OfBoth       Content = "both"       // they have the same content
	OfNobody     Content = "other"
	OfUnsure     Content = "unsure"
	NoContent    Content = ""
)
