//go:build !race

package e2e

const raceMemory = 1
