package config

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// A Duration is written as a number with a unit, as in 10s or 1m30s.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText prints the duration as it is written in the file.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) decode(from *decoder, c *cursor) {
	if !from.is(c, yaml.ScalarNode, "a duration") {
		return
	}
	v, err := time.ParseDuration(c.node.Value)
	switch {
	case err != nil && c.node.ShortTag() == "!!int":
		from.breaks(c, c.node, "write "+c.node.Value+"s for seconds", "%s is a number without a unit", c.label())
	case err != nil:
		from.breaks(c, c.node, "a duration is a number with a unit, as in 10s, 2m or 1h30m", "%s is no duration: %q", c.label(), c.node.Value)
	case v < 0:
		from.breaks(c, c.node, "", "%s must not be negative: %q", c.label(), c.node.Value)
	default:
		*d = Duration(v)
	}
}
