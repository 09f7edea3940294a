package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/usher-http/usher/probe"
)

// The types of the lines. docs/probe.schema.json says what each has.
type (
	hostLine struct {
		Type string `json:"type"`
		*probe.HostReport
	}
	pairLine struct {
		Type string `json:"type"`
		*probe.Pair
	}
	findingLine struct {
		Type string `json:"type"`
		*probe.Finding
	}
	summaryLine struct {
		Type string `json:"type"`
		*probe.Summary
	}
)

// JSON writes a report as lines of JSON: hosts, pairs, findings, and a summary at the end.
func JSON(w io.Writer, r *probe.Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range r.Hosts {
		if err := e.Encode(hostLine{"host", &r.Hosts[i]}); err != nil {
			return err
		}
	}
	for i := range r.Pairs {
		if err := e.Encode(pairLine{"pair", &r.Pairs[i]}); err != nil {
			return err
		}
	}
	for i := range r.Findings {
		if err := e.Encode(findingLine{"finding", &r.Findings[i]}); err != nil {
			return err
		}
	}
	return e.Encode(summaryLine{"summary", &r.Summary})
}

// BulkJSON writes the result of one host of a bulk run: its line, and those of its findings.
func BulkJSON(w io.Writer, r *probe.BulkResult) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	err := e.Encode(hostLine{"host", &r.Host})
	for i := range r.Findings {
		if err == nil {
			err = e.Encode(findingLine{"finding", &r.Findings[i]})
		}
	}
	return err
}

// BulkSummary writes the last line of a bulk run.
func BulkSummary(w io.Writer, s *probe.Summary) error {
	e := json.NewEncoder(w)
	return e.Encode(summaryLine{"summary", s})
}

// maxLine is the longest line that Read takes.
const maxLine = 16 << 20

// Read reads what JSON wrote. Lines of types that it does not know are left alone: later versions may have more. A report without its
// summary is not whole, and an error.
func Read(r io.Reader) (*probe.Report, error) {
	report := new(probe.Report)
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	whole := false
	for n := 1; s.Scan(); n++ {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		last, err := readLine(report, line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		whole = whole || last
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if !whole {
		return nil, fmt.Errorf("no summary at the end: it is not a whole report of usher probe --json")
	}
	return report, nil
}

func readLine(report *probe.Report, line []byte) (last bool, err error) {
	var kind struct{ Type string }
	if err := json.Unmarshal(line, &kind); err != nil {
		return false, err
	}
	switch kind.Type {
	case "host":
		err = appendLine(&report.Hosts, line)
	case "pair":
		err = appendLine(&report.Pairs, line)
	case "finding":
		err = appendLine(&report.Findings, line)
	case "summary":
		return true, json.Unmarshal(line, &report.Summary)
	case "":
		err = fmt.Errorf("it has no type")
	}
	return false, err
}

func appendLine[T any](list *[]T, line []byte) error {
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}
