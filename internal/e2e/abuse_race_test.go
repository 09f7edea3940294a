//go:build race

package e2e

import "time"

const (
	// raceMemory is how much more memory the program takes with the race detector in it: that keeps a shadow of several times what there is.
	raceMemory = 4
	// siegeLimit is how long clients may be idle in a siege. With the race detector, and others at work, those that mean well are slow, too.
	siegeLimit = 4 * time.Second
)
