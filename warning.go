package usher

import "sync"

// A missing is a call that the caller forgot.
type missing int

const (
	missingConnContext missing = iota
	missingTLSConfig
	missingCertificate
	missingTLS
	missingScheme
	missings
)

var missingWords = [missings]string{
	missingConnContext: "the connection has no record: set http.Server.ConnContext to guard.ConnContext",
	missingTLSConfig:   "the handshake has no record: set http.Server.TLSConfig to guard.TLSConfig(...), or serve with guard.ServeTLS",
	missingCertificate: "the certificate was loaded behind the guard's back: serve with guard.ServeTLS or guard.ListenAndServeTLS, or put the certificate into the configuration given to guard.TLSConfig",
	missingTLS: "the request came without TLS, and nothing is known of the client's connection: serve TLS with guard.ServeTLS, " +
		"configure an http listener, or set AllowPlaintext behind a TLS terminator that makes these checks itself",
	missingScheme: "the HTTP/3 server does not tell the request's scheme: serve with h3.Server",
}

// warnings are logged once each: a server that lacks a hook lacks it on every request.
type warnings [missings]sync.Once

func (w *warnings) once(g *Guard, m missing) {
	w[m].Do(func() {
		g.logger().Error("usher: requests are answered 500", "reason", "no_facts", "missing", missingWords[m])
	})
}
