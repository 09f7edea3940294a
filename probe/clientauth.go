package probe

import (
	"regexp"
	"slices"
	"strings"

	"github.com/usher-http/usher/probe/wire"
)

// ClientAuth is what a host wants of client certificates, as seen from outside.
type ClientAuth string

const (
	AuthNone     ClientAuth = "none"     // does not ask
	AuthOptional ClientAuth = "optional" // asks, and answers without
	AuthUnclear  ClientAuth = "unclear"  // asks, and refuses without, perhaps for another reason: a password, for one
	AuthRequired ClientAuth = "required" // asks, and refuses for want of one
)

// ClientAuth tells from the own connection without a certificate, and from the one with our certificate where there is one.
func (o *Own) ClientAuth() ClientAuth {
	switch {
	case o.Failure == wire.NoProtocol:
		return AuthNone // what a site wants of another protocol is seen there
	case !o.Facts.Asked && o.afterHandshake():
		return AuthRequired
	case !o.Facts.Asked:
		return AuthNone
	case o.Failure == wire.Timeout:
		return AuthOptional // silence refuses nothing
	case o.Failure != "":
		return meaning(&wire.Answer{Failure: o.Failure, Detail: o.Detail}, o.Shown)
	case len(o.Plain) == 0:
		return AuthUnclear
	case o.Walled:
		return AuthRequired
	}
	return meaning(&o.Plain[0], o.Shown)
}

// meaning tells what an answer to a client without a certificate means, where one was asked for. shown is what our certificate gets.
func meaning(a *wire.Answer, shown Baseline) ClientAuth {
	with, known := shown.Good()
	switch {
	case a.Failure == wire.Timeout, a.OK() && !slices.Contains([]int{400, 401, 403, 421, 495, 496}, a.Status):
		return AuthOptional
	case known && with.Status < 400: // nothing else differs
		return AuthRequired
	case a.Failure == wire.Alert && wantsCertificate(a.Detail), a.Status == 495, a.Status == 496:
		return AuthRequired
	case !a.OK() || a.Field("www-authenticate") != "":
		return AuthUnclear
	case aboutCertificates.Match(a.Body), a.Status == 421: // 421 is about the connection, and the SNI is right
		return AuthRequired
	case a.Status == 403 && !(known && shown.Like(a) == Same): // as servers answer by rules on the certificate; the same with ours is about something else
		return AuthRequired
	}
	return AuthUnclear
}

// wantsCertificate reports whether an alert that follows the request for a certificate is about it: certificate_required, bad_certificate
// and the like, or what TLS 1.2 has for it (RFC 5246 section 7.4.6).
func wantsCertificate(alert string) bool {
	return strings.Contains(alert, "certificate") || slices.Contains([]string{"handshake_failure", "unknown_ca", "access_denied"}, alert)
}

// aboutCertificates are the words that servers have on pages for clients without a certificate.
var aboutCertificates = regexp.MustCompile(`(?i)\b(client|ssl|tls|peer|x\.?509)[ -]certificate|\bno (required )?certificate|\bcertificate (is |was )?(required|needed|missing)|post-handshake authentication`)

// lateCertificate are the words of a server that wants to ask for a certificate after the handshake, where TLS 1.3 lets only clients be asked
// that say so (RFC 8446 section 4.6.2).
var lateCertificate = regexp.MustCompile(`(?i)post-handshake authentication`)

// afterHandshake reports whether the host wanted to ask for a certificate once it knew the request, and could not.
func (o *Own) afterHandshake() bool {
	a, ok := o.Plain.Good()
	return ok && a.Status == 403 && lateCertificate.Match(a.Body)
}

// late reports whether the host asks for certificates request by request: then a connection's handshake decides nothing.
func (o *Own) late() bool { return o != nil && (o.Facts.Late || o.afterHandshake()) }

// refuses reports whether the host asks for a client certificate and refuses without.
func (o *Own) refuses() bool {
	a := o.ClientAuth()
	return a == AuthRequired || a == AuthUnclear
}

// Protected reports whether the host refuses its own connection for want of a client certificate, over any protocol.
func (h *Host) Protected() bool { return h.any(AuthRequired) }

// perhaps reports whether the host refuses its own connection, and it is not clear for want of what.
func (h *Host) perhaps() bool { return !h.Protected() && h.any(AuthUnclear) }

// guarded are hosts that are worth trying on other connections.
func (h *Host) guarded() bool { return h.Protected() || h.perhaps() }

func (h *Host) any(a ClientAuth) bool {
	for _, o := range h.Own {
		if o.ClientAuth() == a {
			return true
		}
	}
	return false
}

// late reports whether the host asks for certificates request by request, over any protocol.
func (h *Host) late() bool {
	for _, o := range h.Own {
		if o.late() {
			return true
		}
	}
	return false
}
