//go:build !race

package e2e

import "time"

const (
	raceMemory = 1
	siegeLimit = 1500 * time.Millisecond
)
