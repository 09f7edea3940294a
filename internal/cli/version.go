package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionObject is what `usher version --json` writes.
type versionObject struct {
	Version  string `json:"version"` // of the module; "devel" for a build from a working copy without one
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Revision string `json:"revision"` // of the sources; empty where unknown
	Modified bool   `json:"modified"` // the sources differed from the revision
	Time     string `json:"time"`     // of the revision, RFC 3339; empty where unknown
}

func (s *session) version() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version of usher, of Go, and the revision of the sources.

With --json: an object with version, go, os, arch, revision, modified and time.`,
		Args: noArgs,
	}
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	c.RunE = func(*cobra.Command, []string) error {
		v := versionOf(debug.ReadBuildInfo())
		if *asJSON {
			return writeJSON(s.stdout, v)
		}
		fmt.Fprintf(s.stdout, "usher %s\n%s %s/%s\n", v.Version, v.Go, v.OS, v.Arch)
		if v.Revision != "" {
			changed := ""
			if v.Modified {
				changed = ", changed since"
			}
			fmt.Fprintf(s.stdout, "revision %s of %s%s\n", v.Revision, v.Time, changed)
		}
		return nil
	}
	return c
}

func versionOf(info *debug.BuildInfo, ok bool) versionObject {
	v := versionObject{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.time":
			v.Time = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

func moduleVersion() string { return versionOf(debug.ReadBuildInfo()).Version }
