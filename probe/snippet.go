package probe

import "strings"

// snippet returns lines for a server's configuration that cure a finding, empty where there are none.
func snippet(server string, id ID, e *evidence) string {
	switch {
	case e.resumed:
		id = resumption
	case id == NotRetried || id == WrongContent:
		id = Uncovered // the same check cures them
	case id == Parse:
		id = ID(e.kind)
	}
	host := "www.example.com"
	if e.host != nil {
		host = e.host.Host()
	}
	return strings.ReplaceAll(snippets[server][id], "HOST", host)
}

// resumption is where the snippets for sessions are.
const resumption ID = "resumption"

// snippets by server and finding, or kind for findings of parsing. HOST stands for the host. Where a server cannot do better than compare names, the snippet does that and says so.
var snippets = map[string]map[ID]string{
	"nginx": {
		Bypass: `# in the server block of HOST
if ($ssl_server_name != $host) { return 421; }`,
		resumption: `# in the server block of HOST
ssl_session_tickets off;
ssl_session_cache shared:HOST:1m;   # a cache of its own`,
		Uncovered: `# once for each certificate, in the http block: the hosts that it covers
map "$ssl_server_name:$host" $misdirected {
    default 1;
    "~^(?:a|b)\.example\.com:(?:a|b)\.example\.com$" 0;
}
# in each server block with TLS
if ($misdirected) { return 421; }
# and one block for all that is not configured
server { listen 443 ssl default_server; ssl_reject_handshake on; return 421; }`,
		OverStrict: `# instead of if ($ssl_server_name != $host) { return 421; }, for hosts of one certificate without client authentication
map "$ssl_server_name:$host" $misdirected {
    default 1;
    "~^(?:a|b)\.example\.com:(?:a|b)\.example\.com$" 0;
}
if ($misdirected) { return 421; }`,
		Hygiene: `server_tokens off;
error_page 421 /421.html;
location = /421.html { internal; add_header Cache-Control no-store always; }`,
		ID(Userinfo): `# in each server block: what nginx took out of Host is not what the client sent
if ($http_host ~ "@") { return 400; }`,
	},
	"apache": {
		Bypass: `# in the virtual host of HOST; needs mod_rewrite
RewriteEngine on
RewriteCond "%{SSL:SSL_TLS_SNI}" "!=HOST"
RewriteRule "^" "-" [R=421,L]`,
		resumption: "SSLSessionTickets off",
		Uncovered: `# in each virtual host: the hosts of its certificate; needs mod_rewrite
RewriteEngine on
RewriteCond "%{SSL:SSL_TLS_SNI}" "!^(a|b)\.example\.com$" [NC]
RewriteRule "^" "-" [R=421,L]
# and a first virtual host for all that is not configured
<VirtualHost *:443>
    ServerName default.invalid
    Redirect 421 /
</VirtualHost>`,
		OverStrict: `# give the virtual hosts of one certificate the same SSL settings (SSLProtocol, SSLCipherSuite, SSLVerifyClient, SSLCACertificateFile):
# httpd answers 421 where they differ`,
		Hygiene: `ServerTokens Prod
ServerSignature Off
Header always set Cache-Control "no-store" "expr=%{REQUEST_STATUS} == 421"`,
		ID(UnknownAuthority): "StrictHostCheck On",
	},
	"haproxy": {
		Bypass: `# in the frontend: the site wants a certificate that was verified on this connection
acl host_locked req.hdr(host),field(1,:),lower -m str HOST
http-request return status 421 hdr cache-control no-store if host_locked !{ ssl_c_used }
http-request return status 421 hdr cache-control no-store if host_locked !{ ssl_c_verify 0 }`,
		resumption: `# no sessions at all, since those of a bind line have one key; and the rule that asks whether a certificate was verified
global
    tune.ssl.cachesize 0
frontend www
    bind :443 ssl crt-list list.txt no-tls-tickets
    http-request return status 421 hdr cache-control no-store if { req.hdr(host),field(1,:),lower -m str HOST } !{ ssl_c_used }`,
		Uncovered: `# in the frontend: the hosts of each certificate are a group; map names to groups
http-request set-var(txn.sni) ssl_fc_sni,lower,map(groups.map,-)
http-request set-var(txn.host) req.hdr(host),field(1,:),lower,map(groups.map,none)
http-request return status 421 hdr cache-control no-store unless { var(txn.sni),strcmp(txn.host) eq 0 }`,
		Hygiene:      `http-after-response set-header Cache-Control no-store if { status 421 }`,
		ID(TwoHosts): `http-request deny deny_status 400 if { req.hdr_cnt(host) gt 1 }`,
	},
	"lighttpd": {
		Bypass: `# client authentication for the whole socket, or the site on a port of its own:
$SERVER["socket"] == ":8443" {
    ssl.engine = "enable"
    ssl.verifyclient.activate = "enable"
    ssl.verifyclient.enforce = "enable"
    ssl.verifyclient.ca-file = "/etc/lighttpd/clients.pem"
}`,
		Uncovered: `# the last condition: hosts that are not configured
$HTTP["host"] !~ "^(a|b)\.example\.com(:\d+)?$" { url.access-deny = ( "" ) }`,
		Hygiene: `server.tag = "lighttpd"`,
	},
	"caddy": {
		Bypass: `{
    servers { strict_sni_host on }
}`,
		Uncovered: `{
    servers { strict_sni_host on }
}
# and a last site for all that is not configured
:443 {
    tls internal
    respond 421
}`,
		OverStrict: `{
    servers { strict_sni_host insecure_off }   # only without client authentication on any site
}`,
	},
	"envoy": {
		Bypass: `# one filter chain for HOST, with its own route configuration that has no other domain;
# in the route configuration of every other chain:
virtual_hosts:
- {name: misdirected, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 421}}]}`,
		resumption: `# in the DownstreamTlsContext of each chain with client authentication:
disable_stateless_session_resumption: true`,
		Uncovered: `# in each filter chain's route configuration, after the hosts of its certificate:
virtual_hosts:
- {name: misdirected, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 421}}]}`,
	},
	"traefik": {
		Bypass: `# routers of one entry point whose TLS options differ: Traefik answers 421 where the options of SNI and host differ;
# see that the router of HOST names its options
http:
  routers:
    locked: {rule: "Host(` + "`HOST`" + `)", tls: {options: locked}}`,
	},
	"go": {
		Bypass: `guard, err := usher.New(usher.Config{Sites: sites})   // with each site's ClientAuth and ClientCAs
srv.Handler = guard.Handler(srv.Handler)
srv.TLSConfig = guard.TLSConfig(srv.TLSConfig)
srv.ConnContext = guard.ConnContext`,
		Uncovered: `var guard usher.Guard
srv.Handler = guard.Handler(srv.Handler)
srv.TLSConfig = guard.TLSConfig(srv.TLSConfig)
srv.ConnContext = guard.ConnContext
guard.ListenAndServeTLS(srv, "cert.pem", "key.pem")`,
		OverStrict: `// instead of comparing r.Host with r.TLS.ServerName
var guard usher.Guard
srv.Handler = guard.Handler(srv.Handler)`,
	},
	"usher": {
		Bypass: `sites:
  - hosts: [HOST]
    tls: {client_auth: require, client_ca: ca.pem}`,
		OverStrict: `sites:
  - hosts: [HOST]
    coalesce: true   # the default`,
	},
}
