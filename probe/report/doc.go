// Package report writes what a probe found: for people in a terminal or a browser, for programs, for the machinery of continuous
// integration. The forms have the same content.
package report
