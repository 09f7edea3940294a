// Package soak holds a load on the built program that knows of each byte where it must come out: sizes, framings, windows and
// moments at which somebody vanishes are random, contents are compared on both sides, and when the load has ended nothing of it may
// be left. It is a test, which "make soak" runs for ten minutes and "go test" for some seconds.
package soak
