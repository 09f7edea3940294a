package config

import (
	"fmt"
	"strings"
)

// An Error is one mistake in a configuration file.
type Error struct {
	File string // as it was given to Load
	// Line and Column are counted from 1; the column in characters. Both are 0 where the file could not be read at all.
	Line, Column int
	Path         string // the key, as in sites[0].tls.client_ca; empty where no key is at fault
	Message      string
	Hint         string // what may help; empty: none
}

// Error prints file:line:column, the message, and the hint on a line of its own.
func (e *Error) Error() string { return diagnostic(e.File, e.Line, e.Column, e.Message, e.Hint) }

// Errors are all mistakes of one file, in the order of their positions. There is at least one.
type Errors []*Error

// Error prints the errors one below the other.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the errors to errors.As.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// A Kind is the stable word for one sort of hazard.
type Kind string

const (
	// Sites whose connections browsers share differ in client authentication.
	SharedCertificate Kind = "shared_certificate"
	// A certificate is near its end.
	CertificateExpiry Kind = "certificate_expiry"
	// The wildcard host of a site stands over a host of a site with `coalesce: false`.
	WildcardOverOwn Kind = "wildcard_over_own_connections"
	// The origins of a site cannot be listed in an ORIGIN frame. It is a note.
	NotAdvertisable Kind = "not_advertisable"
	// Sites that share a host under several ports differ in policy, and the handshake knows no port.
	PortsDiffer Kind = "ports_differ_in_policy"
	// The default site is not served on an https listener.
	DefaultNotServed Kind = "default_site_not_served"
	// `http: serve` without a plaintext listener.
	PlainNotServed Kind = "http_not_served"
	// A secret can be read by every user of the machine.
	WorldReadable Kind = "world_readable"
	// A range of trusted gateways holds every address.
	TrustsEveryone Kind = "trusts_everyone"
)

// A Severity says how much a hazard matters.
type Severity string

const (
	Note    Severity = "note" // information: nothing is less safe for it
	Warning Severity = "warning"
)

func (k Kind) Severity() Severity {
	if k == NotAdvertisable {
		return Note
	}
	return Warning
}

// A Hazard is legal but surprising.
type Hazard struct {
	Kind         Kind
	File         string
	Line, Column int    // counted from 1
	Path         string // the key
	Message      string
	Hint         string // empty: none
}

// String prints the hazard as [Error] prints an error, with its severity before the message.
func (h Hazard) String() string {
	return diagnostic(h.File, h.Line, h.Column, string(h.Kind.Severity())+": "+h.Message, h.Hint)
}

func diagnostic(file string, line, column int, message, hint string) string {
	text := file + ": " + message
	if line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", file, line, column, message)
	}
	if hint != "" {
		text += "\n    hint: " + hint
	}
	return text
}
