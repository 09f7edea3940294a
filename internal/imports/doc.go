// Package imports holds no code, only a test: who may import whom in this module, and why. The rules are
// the table in rules_test.go. A new package must be entered there.
package imports
