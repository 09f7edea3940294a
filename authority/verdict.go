package authority

import "fmt"

// A Kind groups verdicts by what is answered.
type Kind uint8

const (
	Serve       Kind = iota
	Misdirected      // 421
	Malformed        // 400
	Unknown          // 421 or 404
	Elsewhere        // 308 to https
	Failed           // 405, 425 or 500: the answers beside the table
)

func (k Kind) String() string {
	switch k {
	case Serve:
		return "serve"
	case Misdirected:
		return "misdirected"
	case Malformed:
		return "malformed"
	case Unknown:
		return "unknown"
	case Elsewhere:
		return "redirect"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Verdict is the answer of [Table.Decide]. The zero Verdict is no permission: its Status is 500.
type Verdict struct {
	Reason Reason
	// Waived is the first of questions 2, 5, 7 and 8 that failed and was not held against the request, because
	// the table observes or the peer is a trusted gateway. OK: none.
	Waived Reason
	// Site is the site that the origin belongs to; nil where it is none of ours, and in a table without sites.
	Site *Site
	// Close says that the connection should end gracefully after the answer. Decide sets it where the refused host is the
	// one that the connection was made for, so that nothing is gained by keeping it.
	Close bool
	// Port is the https port that a Redirect leads to.
	Port uint16

	status uint16
}

func verdict(r Reason, s *Site, status uint16) Verdict {
	return Verdict{Reason: r, Site: s, status: status}
}

// Answer returns the verdict of a reason that stands beside the decision table (405, 425, 500), and of WrongListener for servers that
// know of a connection's listener what the table cannot know. Every other reason is answered as NoFacts.
func Answer(r Reason) Verdict {
	switch r {
	case WrongListener:
		return verdict(WrongListener, nil, 421)
	case EarlyData:
		return verdict(r, nil, 425)
	case MethodNotSupported:
		return verdict(r, nil, 405)
	}
	return verdict(NoFacts, nil, 500)
}

// Served reports whether the request may go to its site.
func (v Verdict) Served() bool { return v.Reason == OK && v.status == 200 }

// Status returns the HTTP status of the answer; 200 stands for "serve it".
func (v Verdict) Status() int {
	if v.status == 0 {
		return 500
	}
	return int(v.status)
}

// Kind returns what is answered.
func (v Verdict) Kind() Kind {
	switch v.Reason {
	case OK:
		if v.Served() {
			return Serve
		}
		return Failed
	case MalformedAuthority, HostConflict:
		return Malformed
	case UnknownOrigin:
		return Unknown
	case Redirect:
		return Elsewhere
	case EarlyData, MethodNotSupported, NoFacts:
		return Failed
	}
	return Misdirected
}
