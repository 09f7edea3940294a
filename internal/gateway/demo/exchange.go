package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An Exchange is one request and what became of it.
type Exchange struct {
	Chapter     string `json:"chapter"`
	Protocol    string `json:"protocol"`           // h1, h2 or h3
	Connection  int    `json:"connection"`         // number of the connection; the same number is the same connection
	OpenedFor   string `json:"opened_for"`         // the SNI; empty: plaintext
	Resumed     bool   `json:"resumed"`            // the handshake resumed a session
	Certificate bool   `json:"client_certificate"` // the client would show one if it was asked
	Method      string `json:"method"`
	Authority   string `json:"authority"`
	Path        string `json:"path"`
	Status      int    `json:"status"` // 0: none, see alert
	Reason      string `json:"reason"` // of the gateway's log; empty with an alert
	Alert       string `json:"alert"`  // the handshake ended with it
	Location    string `json:"location"`
	Want        string `json:"expected"` // status and reason, or the alert
	OK          bool   `json:"ok"`
	Plain       bool   `json:"-"` // the authority is a host in its usual spelling with the listener's port
}

// Answer is status and reason, or the alert.
func (e *Exchange) Answer() string {
	if e.Alert != "" {
		return "alert " + e.Alert
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Reason))
}

// judge compares what came with what was expected.
func (e *Exchange) judge(resumed bool) {
	switch {
	case resumed && !e.Resumed:
		e.Want += " on a resumed session"
	case !resumed && e.Resumed:
		e.Want += " after a full handshake"
	default:
		e.OK = e.Answer() == e.Want
	}
}

const exchangeTime = 10 * time.Second

// ask sends a request and reads the gateway's own reason from its log.
func (d *Demo) ask(ctx context.Context, e *Exchange, c *connection) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	scheme := "https"
	if c.host == "" {
		scheme = "http"
	}
	// Whatever the spelling of the host, it goes into Host or :authority as it stands.
	r, err := http.NewRequestWithContext(ctx, e.Method, scheme+"://"+d.TLS+e.Path, nil)
	if err != nil {
		return err
	}
	r.Host = e.Authority
	d.log.forget()
	w, err := c.send(r)
	if err != nil {
		return e.refusedBy(c.failure(err))
	}
	defer w.Body.Close()
	if _, err := io.Copy(io.Discard, w.Body); err != nil {
		return err
	}
	e.Status, e.Location = w.StatusCode, w.Header.Get("Location")
	e.Resumed = w.TLS != nil && w.TLS.DidResume
	entry, err := d.log.next(ctx)
	if err != nil {
		return err
	}
	e.Reason = entry.Reason
	return nil
}

// alerts are the TLS alerts that the demo meets, by crypto/tls's words for them.
var alerts = map[string]string{
	"tls: certificate required": "certificate_required",
	"tls: unrecognized name":    "unrecognized_name",
}

// refusedBy notes the alert that a handshake ended with. Other errors are returned.
func (e *Exchange) refusedBy(err error) error {
	for words, name := range alerts {
		if strings.Contains(err.Error(), words) {
			e.Alert = name
			return nil
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s%s: no answer within %s", e.Method, e.Authority, e.Path, exchangeTime)
	}
	return fmt.Errorf("%s %s%s: %w", e.Method, e.Authority, e.Path, err)
}
