// Package suite asks a server that was set up for it how it treats misdirected requests, case by case. The cases are data (cases.json), with
// reason and RFC section, that other implementers may use; README.md beside them says what their words mean.
package suite
