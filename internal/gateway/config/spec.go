package config

// This file is the manual of the configuration file: its comments are the descriptions in the JSON Schema.

// File is the configuration file of the gateway. Paths in it are relative to the folder that it lies in. Durations are
// numbers with a unit, as in 10s, 2m or 1h30m.
type File struct {
	// What happens to requests that this connection may not carry: enforce refuses them with 421; observe serves what
	// only the certificate, the minimum TLS version, `coalesce: false` or a conflicting Host would refuse, and logs it.
	// Default: enforce.
	Mode string `yaml:"mode" jsonschema:"enum=enforce,enum=observe,default=enforce"`
	// The status for hosts that no site has: 421, or 404. 404 is given only where it tells nobody which hosts exist: where
	// the certificate covers the host and the host is the connection's own. Default: 421.
	UnknownHost int `yaml:"unknown_host" jsonschema:"enum=421,enum=404,default=421"`
	// The name of the site that is chosen at handshakes without a server name, or with one that no site has. Default:
	// none; such handshakes end with the alert unrecognized_name.
	DefaultSite string `yaml:"default_site"`
	// The places where connections arrive. Default: :443 for https and :80 for http.
	Listeners []ListenerSpec `yaml:"listeners" jsonschema:"minItems=1"`
	// The sites, at least one.
	Sites []SiteSpec `yaml:"sites" jsonschema:"required,minItems=1"`
	// The log.
	Log LogSpec `yaml:"log"`
	// The time limits.
	Timeouts TimeoutsSpec `yaml:"timeouts"`
	// Certificates from an ACME authority, for sites with `issuer: acme`. Not available in this version.
	ACME ACMESpec `yaml:"acme"`
	// The listener for metrics, health and the console. Default: none.
	Admin *AdminSpec `yaml:"admin"`
	// The folder for what the gateway keeps: the local certificate authority and the last good configuration. It is made
	// when it is needed. Default: ./state.
	State string `yaml:"state" jsonschema:"default=./state"`
}

// ListenerSpec is a place where connections arrive.
type ListenerSpec struct {
	// The name by which sites refer to it. Default: the address.
	Name string `yaml:"name"`
	// IP address and port, as in 127.0.0.1:8443 or [::1]:8443. Without an IP address, as in :443, every address of the
	// machine. Port 0 lets the system choose.
	Address string `yaml:"address" jsonschema:"required"`
	// https for TLS, http for plaintext. Default: https.
	Scheme string `yaml:"scheme" jsonschema:"enum=https,enum=http,default=https"`
	// Further ports that clients see, where something maps ports in front. The first is the one that is advertised and
	// redirected to; without any, the bound port is.
	PublicPorts []int `yaml:"public_ports"`
	// The protocols that are spoken: h1 (HTTP/1.1), h2 (HTTP/2), h3 (HTTP/3, which opens the same UDP port). Default: all
	// three for https; h1 and h2 for http, where HTTP/2 comes with prior knowledge (RFC 9113 section 3.3).
	Protocols []string `yaml:"protocols" jsonschema:"minItems=1,enum=h1,enum=h2,enum=h3"`
	// When HTTP/2 connections are told in an ORIGIN frame (RFC 8336) which origins they may carry: auto sends a frame only where
	// it can list all of them, at most 100; always sends what can be listed, the nearest first, up to 100; never sends none.
	// Default: auto.
	OriginFrame string `yaml:"origin_frame" jsonschema:"enum=auto,enum=always,enum=never,default=auto"`
	// Address ranges (CIDR) or single addresses of gateways in front that are trusted to have chosen the connection rightly.
	// Requests from them are excused from the questions about host conflict, certificate, TLS version and `coalesce: false`.
	// Default: none.
	TrustedGateways []string `yaml:"trusted_gateways"`
	// Accept PROXY protocol headers from trusted gateways. Not available in this version. Default: false.
	ProxyProtocol bool `yaml:"proxy_protocol"`
}

// SiteSpec is a set of hosts with one TLS policy and one list of routes.
type SiteSpec struct {
	// The name of the site in logs and in default_site. Default: its first host.
	Name string `yaml:"name"`
	// Names, wildcards for one left-most label (*.example.com), IP addresses (IPv6 in brackets); with a port, as in
	// example.com:8443, that port alone. "*" stands for every host that no other site has and that the certificate covers.
	Hosts []string `yaml:"hosts" jsonschema:"required,minItems=1"`
	// The names of the listeners that serve the site. Default: all.
	Listeners []string `yaml:"listeners" jsonschema:"minItems=1"`
	// Certificates and client authentication. Required where the site is served on an https listener.
	TLS *TLSSpec `yaml:"tls"`
	// Whether connections that were made for another site may carry requests for this one, where all else fits. false: only
	// connections whose handshake chose this site. Default: true.
	Coalesce bool `yaml:"coalesce" jsonschema:"default=true"`
	// What happens to http requests on plaintext listeners: redirect sends them to https with 308, serve answers them.
	// Default: redirect.
	HTTP string `yaml:"http" jsonschema:"enum=redirect,enum=serve,default=redirect"`
	// Short form for one route with the path / and this upstream.
	Upstream *UpstreamSpec `yaml:"upstream"`
	// What is done with requests. Among the routes whose path the request's path begins with, the longest wins.
	Routes []RouteSpec `yaml:"routes"`
}

// TLSSpec is the TLS policy of a site.
type TLSSpec struct {
	// Certificates from files, one or more (RSA beside ECDSA). Each must cover every host of the site. Either these or
	// issuer.
	Certificates []CertificateSpec `yaml:"certificates" jsonschema:"minItems=1"`
	// Who issues certificates where none are given: local is a certificate authority of the gateway's own, kept in state;
	// acme is not available in this version.
	Issuer string `yaml:"issuer" jsonschema:"enum=local,enum=acme"`
	// What is asked of clients: none, optional (a certificate is verified if one is given) or require. Default: none.
	ClientAuth string `yaml:"client_auth" jsonschema:"enum=none,enum=optional,enum=require,default=none"`
	// A PEM file with the certificate authorities that client certificates are verified under.
	ClientCA string `yaml:"client_ca"`
	// The lowest TLS version: "1.2" or "1.3". Default: "1.2".
	MinVersion string `yaml:"min_version" jsonschema:"enum=1.2,enum=1.3,default=1.2"`
}

// CertificateSpec is a certificate with its key.
type CertificateSpec struct {
	// A PEM file with the certificate, followed by the intermediate certificates.
	Certificate string `yaml:"certificate" jsonschema:"required"`
	// A PEM file with the private key, not encrypted.
	Key string `yaml:"key" jsonschema:"required"`
}

// RouteSpec is what is done with requests under a path. It has exactly one of upstream, respond, files, redirect and
// guide.
type RouteSpec struct {
	// The beginning of the request's path. It starts with a slash.
	Path string `yaml:"path" jsonschema:"required"`
	// Requests are passed on to these servers.
	Upstream *UpstreamSpec `yaml:"upstream"`
	// A fixed answer.
	Respond *RespondSpec `yaml:"respond"`
	// A folder whose files are served.
	Files string `yaml:"files"`
	// Requests are sent elsewhere.
	Redirect *RedirectSpec `yaml:"redirect"`
	// Show the guide to HTTP status codes. Default: false.
	Guide bool `yaml:"guide"`
}

// UpstreamSpec is a set of equal servers: a URL, a list of URLs, or a map.
type UpstreamSpec struct {
	// http or https URLs with host and port alone, as in https://10.0.0.5:8443.
	URLs []string `yaml:"urls" jsonschema:"required,minItems=1"`
	// The server name that is sent and verified on https connections. Default: the host of the URL.
	SNI string `yaml:"sni"`
	// A PEM file with the certificate authorities that the servers are verified under. Default: those of the system.
	CA string `yaml:"ca"`
	// A PEM file with the certificate that is shown to servers which ask for one. It needs key.
	Certificate string `yaml:"certificate"`
	// A PEM file with the key of certificate.
	Key string `yaml:"key"`
}

// RespondSpec is a fixed answer.
type RespondSpec struct {
	// The status, 200 to 599, but not 421. Default: 200.
	Status int `yaml:"status" jsonschema:"minimum=200,maximum=599,default=200"`
	// The content, up to 1 MiB. Default: none.
	Body string `yaml:"body"`
	// Header fields. Those that belong to the connection, Content-Length and Alt-Svc are not allowed.
	Headers map[string]string `yaml:"headers"`
}

// RedirectSpec is where clients are sent instead.
type RedirectSpec struct {
	// An absolute http or https URL, or a path on the same host. It is sent as it stands.
	To string `yaml:"to" jsonschema:"required"`
	// The status: 301, 302, 303, 307 or 308. Default: 308.
	Status int `yaml:"status" jsonschema:"enum=301,enum=302,enum=303,enum=307,enum=308,default=308"`
}

// LogSpec is how the gateway logs.
type LogSpec struct {
	// json or text. Default: json.
	Format string `yaml:"format" jsonschema:"enum=json,enum=text,default=json"`
	// stderr, stdout or the path of a file that is appended to. Default: stderr.
	Output string `yaml:"output" jsonschema:"default=stderr"`
	// The lowest level that is logged: debug, info, warn or error. Default: info.
	Level string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error,default=info"`
	// Whether each request is logged. Default: true.
	Access bool `yaml:"access" jsonschema:"default=true"`
}

// TimeoutsSpec are the time limits. For body, idle, first_byte and whole 0s means no limit; for drain it means that requests in
// flight are not waited for; the others must be longer than 0s.
type TimeoutsSpec struct {
	// From the connection to the end of its TLS handshake. Default: 10s.
	Handshake Duration `yaml:"handshake"`
	// For the header section of a request. Default: 10s.
	Header Duration `yaml:"header"`
	// For the content of a request. Default: 60s.
	Body Duration `yaml:"body"`
	// For a connection without requests, for a client that does not read, and for an upstream that has begun to answer and sends
	// nothing more, also in a tunnel whose client has closed its half. Default: 2m.
	Idle Duration `yaml:"idle"`
	// For a connection to an upstream, its TLS handshake included. Default: 5s.
	Connect Duration `yaml:"connect"`
	// From the end of the request to the first byte of the upstream's response. Default: 60s.
	FirstByte Duration `yaml:"first_byte"`
	// For a request to an upstream and all of its response together. Default: 0s.
	Whole Duration `yaml:"whole"`
	// For requests in flight when the gateway ends. Default: 30s.
	Drain Duration `yaml:"drain"`
}

// ACMESpec is an ACME authority.
type ACMESpec struct {
	// The URL of the authority's directory.
	Directory string `yaml:"directory"`
	// The address that the authority writes to.
	Email string `yaml:"email"`
	// Whether the authority's terms of service are agreed to. Default: false.
	TermsAgreed bool `yaml:"terms_agreed"`
}

// AdminSpec is the listener for metrics, health and the console.
type AdminSpec struct {
	// IP address and port. Default: 127.0.0.1:8421.
	Address string `yaml:"address" jsonschema:"default=127.0.0.1:8421"`
	// A file with the token that requests must carry. Required where the address is not loopback. Default: none.
	TokenFile string `yaml:"token_file"`
}
