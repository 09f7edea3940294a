//go:build race

package e2e

// raceMemory is how much more memory the program takes with the race detector in it: that keeps a shadow of several times what there is.
const raceMemory = 4
