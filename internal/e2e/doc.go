// Package e2e holds the end-to-end tests: the built program as a process, on loopback, with real clients and with raw
// ones, judged by what can be seen from outside: answers, the access log, /metrics, messages and exit codes.
package e2e
