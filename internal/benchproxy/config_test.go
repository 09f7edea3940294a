//go:build linux

package benchproxy

import (
	"strings"
	"text/template"
)

// A setting is what the configurations of all contenders are made of.
type setting struct {
	Dir      string // the contender's own folder
	Port     int    // TLS
	Admin    int    // metrics, plaintext
	Upstream string // host:port
	CertA    string // PEM files; Both hold certificate and key
	KeyA     string
	CertB    string
	KeyB     string
	BothA    string
	BothB    string
	Root     bool // the contender is started by root
}

func (setting) HostA() string     { return hostA }
func (setting) HostB() string     { return hostB }
func (setting) Fixed() string     { return strings.TrimSuffix(fixedBody, "\n") + `\n` }
func (setting) Elsewhere() string { return elsewhere }

func (s setting) text(form string) (string, error) {
	var b strings.Builder
	err := template.Must(template.New("").Option("missingkey=error").Parse(form)).Execute(&b, s)
	return b.String(), err
}

// The configurations. Each contender logs each request to a file, counts for its metrics, tells the upstream of the client
// (Host, X-Forwarded-For and -Proto), keeps up to 512 upstream connections and never closes one for its age in requests.

const usherForm = `listeners:
  - {name: public, address: "127.0.0.1:{{.Port}}", public_ports: [443], protocols: [h1, h2]}
sites:
  - name: a
    hosts: [{{.HostA}}]
    tls: {certificates: [{certificate: {{.CertA}}, key: {{.KeyA}}}]}
    routes:
      - {path: /, upstream: "http://{{.Upstream}}"}
      - {path: /fixed, respond: {status: 200, body: "{{.Fixed}}", headers: {content-type: text/plain}}}
      - {path: /moved, redirect: {to: "{{.Elsewhere}}", status: 308}}
  - name: b
    hosts: [{{.HostB}}]
    tls: {certificates: [{certificate: {{.CertB}}, key: {{.KeyB}}}]}
    upstream: "http://{{.Upstream}}"
log: {format: json, output: {{.Dir}}/access.log}
admin: {address: "127.0.0.1:{{.Admin}}"}
state: {{.Dir}}/state
`

// nginx: upstream keep-alive as its manual says (proxy_http_version, an empty Connection field, keepalive), with room for all
// connections in each worker. Content of 64 KiB fits into its buffers in memory, both ways: with the defaults it would go to disk.
// What was tried and made it cheaper stays: a buffered log, reuseport, larger proxy_buffers, session tickets without a
// ssl_session_cache. proxy_request_buffering off and a larger http2_chunk_size changed less than the noise.
const nginxForm = `{{if .Root}}user root;
{{end}}worker_processes 2;
worker_rlimit_nofile 16384;
error_log {{.Dir}}/error.log;
pid {{.Dir}}/nginx.pid;
daemon off;
events { worker_connections 8192; }
http {
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    default_type text/plain;
    access_log {{.Dir}}/access.log combined buffer=64k flush=200ms;
    server_tokens off;
    keepalive_requests 100000000;
    keepalive_timeout 120s;
    client_body_buffer_size 128k;
    ssl_protocols TLSv1.2 TLSv1.3;
    upstream app {
        server {{.Upstream}};
        keepalive 512;
        keepalive_requests 100000000;
    }
    server {
        listen 127.0.0.1:{{.Admin}};
        location / { stub_status; access_log off; }
    }
    server {
        listen 127.0.0.1:{{.Port}} ssl http2 backlog=4096 reuseport;
        server_name {{.HostA}};
        ssl_certificate {{.CertA}};
        ssl_certificate_key {{.KeyA}};
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffer_size 32k;
            proxy_buffers 8 32k;
            proxy_busy_buffers_size 64k;
        }
        location = /fixed { return 200 "{{.Fixed}}"; }
        location = /moved { return 308 {{.Elsewhere}}; }
    }
    server {
        listen 127.0.0.1:{{.Port}} ssl http2 default_server;
        ssl_certificate {{.CertB}};
        ssl_certificate_key {{.KeyB}};
        return 421;
    }
}
`

// HAProxy opens no log files: its manual has it log to a datagram socket, or to its standard output where that is a pipe or a
// terminal, and warns of a file there. Here the file costs it least, and no second process takes part: 5.2 microseconds for a
// 421, against 6.2 with a pipe, 7.2 with a socket and 3.5 without a log. tune.bufsize is the default: 32 KiB make uploads cheaper
// and downloads dearer. The ciphers are in everybody else's order.
const haproxyForm = `global
    nbthread 2
    maxconn 8192
    log stdout format raw daemon
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
    ssl-default-bind-options ssl-min-ver TLSv1.2 prefer-client-ciphers
    tune.h2.initial-window-size 262144
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    timeout http-keep-alive 120s
frontend public
    bind 127.0.0.1:{{.Port}} ssl crt {{.BothA}} crt {{.BothB}} alpn h2,http/1.1
    http-request return status 421 content-type text/plain string "this connection is for another site\n" unless { hdr(host) -i {{.HostA}} }
    http-request return status 200 content-type text/plain string "{{.Fixed}}" if { path /fixed }
    http-request redirect code 308 location {{.Elsewhere}} if { path /moved }
    http-request set-header X-Forwarded-Proto https
    option forwardfor
    default_backend app
backend app
    http-reuse always
    server app {{.Upstream}} pool-max-conn 512
frontend metrics
    bind 127.0.0.1:{{.Admin}}
    no log
    http-request use-service prometheus-exporter
`

// Caddy keeps 32 upstream connections unless told otherwise, which is too few for this load.
const caddyForm = `{
	admin 127.0.0.1:{{.Admin}}
	auto_https off
	persist_config off
	metrics
	grace_period 1s
	log {
		output file {{.Dir}}/caddy.log
		level WARN
	}
	servers {
		protocols h1 h2
	}
}
(access) {
	log {
		output file {{.Dir}}/access.log {
			roll_disabled
		}
	}
}
https://{{.HostA}}:{{.Port}} {
	bind 127.0.0.1
	tls {{.CertA}} {{.KeyA}}
	import access
	handle /fixed {
		header content-type text/plain
		respond "{{.FixedLines}}" 200
	}
	redir /moved {{.Elsewhere}} 308
	reverse_proxy {{.Upstream}} {
		transport http {
			keepalive_idle_conns 512
			keepalive_idle_conns_per_host 512
		}
	}
}
https://:{{.Port}} {
	bind 127.0.0.1
	tls {{.CertB}} {{.KeyB}}
	import access
	respond "this connection is for another site" 421
}
`

// FixedLines is the fixed answer for a Caddyfile, where a line end stands for itself.
func (setting) FixedLines() string { return fixedBody }
