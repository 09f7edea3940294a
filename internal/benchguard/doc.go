// Package benchguard measures what the guard costs a server: the same HTTP/2 load over TLS on loopback, with and without
// it, in alternating pairs. It is a tool in the form of a test, run by "make bench-guard".
package benchguard
