// Package probe runs usher probe against real servers: nginx, Apache httpd, HAProxy, lighttpd, Caddy, usher itself and a naive server in
// Go, each with the same cast of hosts. What it must find is written down by hand, from what each server documents, and a second client
// (curl, openssl) is asked the same.
package probe
