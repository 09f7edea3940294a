// Package usher puts one question before any net/http server: is this connection entitled to carry this request?
//
// Clients send requests for one host on connections that they opened for another (connection coalescing, RFC 9113
// section 9.1.1). A server must reject an https request unless the connection is secured by a certificate valid for the
// request's origin (RFC 9110 section 7.4), and per-site client authentication holds only if every request is checked
// against the connection it came on. A [Guard] does both: it records which certificate and policy each connection was
// made under, on full handshakes and resumptions, binds session tickets to them, and answers what does not fit with
// 421 (Misdirected Request).
//
//	var guard usher.Guard
//	srv := &http.Server{
//		Handler:     guard.Handler(mux),
//		TLSConfig:   guard.TLSConfig(base),
//		ConnContext: guard.ConnContext,
//	}
//	err := guard.ListenAndServeTLS(srv, "cert.pem", "key.pem")
//
// The zero Guard applies the certificate rule. With [Config.Sites] the whole decision applies; see package authority.
package usher

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/usher-http/usher/authority"
)

// A Guard decides for the requests of one server or several. Its zero value is ready and applies the certificate rule:
// questions 1, 2 and 5 of the decision. A Guard must not be copied after first use. All methods are safe for
// concurrent use; Replace, Update and SetRefusalHandler may be called while serving.
type Guard struct {
	state   atomic.Pointer[state]
	refusal atomic.Pointer[http.Handler]
	change  sync.Mutex // held by Replace and Update
	layers  layers     // the TLS configurations made by TLSConfig
	setup   sync.Mutex // held by Prepare
	warned  warnings
	names   nameCache
}

// New returns a Guard with a configuration. It reports the first thing that is wrong with it.
func New(c Config) (*Guard, error) {
	g := new(Guard)
	if err := g.Replace(c); err != nil {
		return nil, err
	}
	return g, nil
}

// Replace puts a new configuration in place of the old one: all of it or, with an error, nothing. Connections that
// exist are judged by the new rules against what their own handshake proved.
func (g *Guard) Replace(c Config) error {
	g.change.Lock()
	defer g.change.Unlock()
	s, err := compile(c)
	if err != nil {
		return err
	}
	g.state.Store(s)
	return nil
}

// Update replaces or adds the given sites and removes those named, all or nothing. Its cost goes with the
// number of sites that change, not with how many there are.
func (g *Guard) Update(sites []Site, remove ...string) error {
	g.change.Lock()
	defer g.change.Unlock()
	s, err := g.current().with(sites, remove)
	if err != nil {
		return err
	}
	g.state.Store(s)
	return nil
}

// Table returns the table that decides now.
func (g *Guard) Table() *authority.Table { return g.current().table }

var zeroState = &state{table: new(authority.Table)}

func (g *Guard) current() *state {
	if s := g.state.Load(); s != nil {
		return s
	}
	return zeroState
}

func (g *Guard) logger() *slog.Logger {
	if l := g.current().rules.Logger; l != nil {
		return l
	}
	return slog.Default()
}
