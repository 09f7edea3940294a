package authority

import "fmt"

// A Reason is why a request is answered as it is: one stable word, the same in logs, metrics, the command line
// and probe reports. The zero Reason is OK.
type Reason uint8

const (
	OK Reason = iota
	MalformedAuthority
	HostConflict
	SchemeMismatch
	UnknownOrigin
	WrongListener
	CertificateMismatch
	ClientAuthMismatch
	TLSVersionMismatch
	CoalescingRefused
	// The reasons below stand beside the decision table.
	Redirect           // 308 to https, from a plaintext listener
	EarlyData          // 425, RFC 8470
	MethodNotSupported // 405, CONNECT
	NoFacts            // 500, the connection has no record
)

var reasonWords = [...]string{
	OK:                  "ok",
	MalformedAuthority:  "malformed_authority",
	HostConflict:        "host_conflict",
	SchemeMismatch:      "scheme_mismatch",
	UnknownOrigin:       "unknown_origin",
	WrongListener:       "wrong_listener",
	CertificateMismatch: "certificate_mismatch",
	ClientAuthMismatch:  "client_auth_mismatch",
	TLSVersionMismatch:  "tls_version_mismatch",
	CoalescingRefused:   "coalescing_refused",
	Redirect:            "redirect",
	EarlyData:           "early_data",
	MethodNotSupported:  "method_not_supported",
	NoFacts:             "no_facts",
}

// Reasons returns every reason, in the order of the questions.
func Reasons() []Reason {
	all := make([]Reason, len(reasonWords))
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

func (r Reason) String() string {
	if int(r) < len(reasonWords) {
		return reasonWords[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Reason) UnmarshalText(text []byte) error {
	for i, word := range reasonWords {
		if word == string(text) {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("unknown reason %q", text)
}

// aboutConnection holds for the reasons of questions 5 to 8: a new connection for the same host may cure them.
func (r Reason) aboutConnection() bool {
	return r >= CertificateMismatch && r <= CoalescingRefused
}
