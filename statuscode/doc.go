// Package statuscode is a reference of the HTTP status codes, written for people who build servers: every code of the IANA
// registry with what it means, what a server does before it sends it, and what a client does when it arrives.
//
// The texts lie in codes/, one readable file a code, and are part of the program. Everything that the package returns is
// shared and must not be changed; all functions may be called at the same time.
package statuscode
