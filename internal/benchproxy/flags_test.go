//go:build linux

package benchproxy

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var (
	enabled    = flag.Bool("bench-proxy", false, "measure (about ten minutes with all works and contenders)")
	quick      = flag.Bool("quick", false, "one round of 1.5 s (unless -rounds or -seconds say otherwise), no idle memory: for a look after a change")
	worksFlag  = flag.String("works", "", "works to measure, with commas between them (default: all), of: "+strings.Join(workNames(), " "))
	contFlag   = flag.String("contenders", "usher,nginx,haproxy,caddy", "who is measured, with commas between them")
	rounds     = flag.Int("rounds", 3, "alternating rounds")
	seconds    = flag.Float64("seconds", 2, "about how long one run takes")
	threads    = flag.Int("threads", 2, "threads of h2load, where there are so many connections")
	idleConns  = flag.Int("idle", 1000, "idle connections of the work idle")
	settle     = flag.Duration("settle", 3*time.Second, "how long connections are idle before their memory is looked at")
	outFlag    = flag.String("out", "", "folder that gets the configurations, results.json, results.md and profiles (default: none)")
	profile    = flag.Bool("profile", false, "instead of measuring, record a profile of each usher with perf during each work (needs -out)")
	usherFlags = ushers{}
)

func init() {
	flag.Var(&usherFlags, "usher", "PATH of a built usher, instead of this tree's; NAME=PATH adds one under that name (repeatable)")
}

// ushers are further builds to measure: name and path.
type ushers []struct{ name, path string }

func (u *ushers) String() string { return fmt.Sprint(*u) }

func (u *ushers) Set(value string) error {
	name, path, ok := strings.Cut(value, "=")
	if !ok {
		name, path = "usher", value
	}
	if name == "" || path == "" || slices.Contains([]string{"nginx", "haproxy", "caddy", "echo"}, name) {
		return fmt.Errorf("%q is not PATH or NAME=PATH", value)
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q: the path must be absolute, since tests run in the folder of their package", path)
	}
	*u = append(*u, struct{ name, path string }{name, path})
	return nil
}

// list splits words with commas or spaces between them.
func list(words string) []string {
	return strings.FieldsFunc(words, func(r rune) bool { return r == ',' || r == ' ' })
}
