// Package benchproxy measures the gateway beside nginx, HAProxy and Caddy: the same certificate, upstream and load, in
// alternating rounds of fresh processes. It is a tool in the form of a test, run by "make bench-proxy", and for Linux.
package benchproxy
