package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/http2"
)

// A Failure says in one word how a request or a handshake ended without an answer.
type Failure string

const (
	Alert      Failure = "alert"      // the server sent a TLS alert; the detail is its name
	Refused    Failure = "refused"    // nothing listens
	Closed     Failure = "closed"     // the connection was closed or reset
	Reset      Failure = "reset"      // the stream was; the detail is the code
	Timeout    Failure = "timeout"    // nothing came in time
	Garbage    Failure = "garbage"    // what came is not the protocol
	NotTLS     Failure = "not-tls"    // what came is not TLS
	Unresolved Failure = "unresolved" // the name has no address
	NoProtocol Failure = "protocol"   // TLS, but not this HTTP
)

// errProtocol: the server did not agree to the protocol.
var errProtocol = errors.New("the server does not offer this protocol")

// errFlood: more frames, fields or interim answers than anyone needs.
var errFlood = errors.New("too many frames, fields or interim answers")

// unadvertised is what crypto/tls says where the server chooses a protocol that was not offered, as Apache httpd without HTTP/2 does.
const unadvertised = "tls: server selected unadvertised ALPN protocol"

// failureOf sorts an error.
func failureOf(err error) (Failure, string) {
	if kind, detail, ok := quicFailure(err); ok {
		return kind, detail
	}
	var op *net.OpError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		return alert(op.Err.Error())
	case errors.Is(err, errProtocol):
		return NoProtocol, err.Error()
	case err.Error() == unadvertised:
		return NoProtocol, "the server chose another protocol than was offered"
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return NotTLS, "it speaks plain HTTP"
	case errors.As(err, &record):
		return NotTLS, record.Msg
	case errors.As(err, &dns) && !dns.IsTimeout:
		return Unresolved, dns.Err
	case isTimeout(err):
		return Timeout, "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused, "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Closed, "connection closed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Closed, "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Refused, "no route to the host"
	}
	return Garbage, clip(err.Error(), 200)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// alert makes of "tls: certificate required" the name certificate_required, and knows the alerts that say that the server does not
// speak the protocol.
func alert(text string) (Failure, string) {
	name := strings.ReplaceAll(strings.TrimPrefix(text, "tls: "), " ", "_")
	if name == "no_application_protocol" {
		return NoProtocol, name
	}
	return Alert, alertNames(name)
}

// alertNames are those whose words in crypto/tls differ from RFC 8446 section 6.
func alertNames(name string) string {
	switch name {
	case "unknown_certificate_authority":
		return "unknown_ca"
	case "protocol_version_not_supported":
		return "protocol_version"
	case "expired_certificate":
		return "certificate_expired"
	case "revoked_certificate":
		return "certificate_revoked"
	}
	return name
}

func quicFailure(err error) (Failure, string, bool) {
	var transport *quic.TransportError
	var app *quic.ApplicationError
	var stream *quic.StreamError
	var idle *quic.IdleTimeoutError
	var handshake *quic.HandshakeTimeoutError
	var version *quic.VersionNegotiationError
	switch {
	case errors.As(err, &transport) && transport.ErrorCode.IsCryptoError() && transport.Remote:
		kind, detail := alert("tls: " + tls.AlertError(uint8(transport.ErrorCode & 0xff)).Error()[len("tls: "):])
		return kind, detail, true
	case errors.As(err, &transport) && transport.ErrorCode == quic.ConnectionRefused:
		return Refused, "QUIC: connection refused", true
	case errors.As(err, &transport):
		return Garbage, clip("QUIC: "+transport.Error(), 200), true
	case errors.As(err, &app):
		return Closed, "HTTP/3 connection closed: " + h3Code(uint64(app.ErrorCode)), true
	case errors.As(err, &stream):
		return Reset, h3Code(uint64(stream.ErrorCode)), true
	case errors.As(err, &idle), errors.As(err, &handshake):
		return Timeout, "no answer in time", true
	case errors.As(err, &version):
		return NoProtocol, "no common version of QUIC", true
	}
	return "", "", false
}

// streamFailure is the failure of a stream that the server reset.
func streamFailure(code http2.ErrCode) Answer { return Answer{Failure: Reset, Detail: code.String()} }

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
