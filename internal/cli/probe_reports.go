package cli

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/report"
)

// reportFlags say what is written beside the report on standard output.
type reportFlags struct {
	junit, sarif, html, baseline *string
}

func newReportFlags(c *cobra.Command) reportFlags {
	f := reportFlags{
		junit:    c.Flags().String("junit", "", "`FILE` to write JUnit's XML to"),
		sarif:    c.Flags().String("sarif", "", "`FILE` to write SARIF 2.1.0 to"),
		html:     c.Flags().String("html", "", "`FILE` to write a page to, with a map of the hosts; it needs nothing else"),
		baseline: c.Flags().String("baseline", "", "`FILE` of an earlier run with --json: report only what is new"),
	}
	for _, file := range []string{"junit", "sarif", "html", "baseline"} {
		if err := c.MarkFlagFilename(file); err != nil {
			panic(err) // the flag does not exist
		}
	}
	return f
}

// known reads the baseline, before anything is asked: nil where there is none.
func (f reportFlags) known() (*probe.Report, error) {
	if *f.baseline == "" {
		return nil, nil
	}
	return readReport("--baseline", *f.baseline)
}

func readReport(flag, file string) (*probe.Report, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, usageError("", "%s: %w", flag, err)
	}
	defer in.Close()
	r, err := report.Read(in)
	if err != nil {
		return nil, usageError("it is to be what usher probe --json wrote", "%s: %s: %w", flag, file, err)
	}
	return r, nil
}

// write writes the files that are wanted.
func (f reportFlags) write(r *probe.Report, least probe.Severity, fails bool) error {
	for _, form := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{*f.junit, func(w io.Writer) error { return report.JUnit(w, r, least, fails) }},
		{*f.sarif, func(w io.Writer) error { return report.SARIF(w, r, moduleVersion()) }},
		{*f.html, func(w io.Writer) error { return report.HTML(w, r, time.Now(), moduleVersion()) }},
	} {
		if form.file == "" {
			continue
		}
		var text bytes.Buffer
		if err := form.write(&text); err != nil {
			return err
		}
		if err := os.WriteFile(form.file, text.Bytes(), 0o644); err != nil {
			return &ExitError{exitInvalid, err}
		}
	}
	return nil
}

// compareFlags refuses what a comparison does not do: nobody is to look for a file that is not written.
func (f probeFlags) compareFlags() error {
	for name, used := range map[string]bool{"junit": *f.reports.junit != "", "sarif": *f.reports.sarif != "", "html": *f.reports.html != "",
		"baseline": *f.reports.baseline != "", "names": *f.names != "", "from": len(*f.from) > 0, "from-cert": *f.fromCert, "bulk": *f.bulk,
		"state": *f.state != "", "suite": *f.suite != "", "suite-setup": *f.suiteSetup != ""} {
		if used {
			return usageError("usher probe --compare old.jsonl new.jsonl", "--%s does not go with --compare", name)
		}
	}
	return nil
}

// compareReports says what is new and what is gone between two reports.
func (s *session) compareReports(f probeFlags, files []string) error {
	if err := f.compareFlags(); err != nil {
		return err
	}
	if len(files) != 2 {
		return usageError("usher probe --compare old.jsonl new.jsonl", "--compare takes two reports of usher probe --json, not %d", len(files))
	}
	old, err := readReport("--compare", files[0])
	if err != nil {
		return err
	}
	fresh, err := readReport("--compare", files[1])
	if err != nil {
		return err
	}
	c := report.Compare(old, fresh)
	if *f.json {
		err = c.JSON(s.stdout)
	} else {
		err = c.Text(s.stdout, report.Style{Colours: s.paint(s.stdout).colours, Width: s.width()})
	}
	if err != nil {
		return err
	}
	return f.failed(c.New)
}
