//go:build linux

package benchproxy

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// results is all that a measurement has found, as it goes to results.json.
type results struct {
	Begin      time.Time
	Took       string
	Rounds     int
	Seconds    float64
	Threads    int
	Contenders []described
	Runs       []run
	Idle       []idle
	Medians    []medians
	Verdicts   []verdict
}

// A described contender is one with its configuration as text.
type described struct{ Name, Kind, Version, File, Configuration string }

func (r *results) add(c contender, configuration string) {
	r.Contenders = append(r.Contenders, described{c.name, c.kind, c.version, c.file, configuration})
}

// medians of one contender's runs of one work.
type medians struct {
	Work, Contender      string
	Rate, CPU, P50, P99  float64
	RSS, PSS, Peak       float64
	NewUpstream          int // the most of a run
	LoadCPU, UpstreamCPU float64
	CPULow, CPUHigh      float64
	TLS                  string
	Runs                 int
}

// A verdict says whether a contender meets a target.
type verdict struct {
	Work, Contender, Target string
	Ratio                   spread
	Most                    float64
	Met                     bool
}

// sum works out medians and verdicts from the runs.
func (r *results) sum() {
	r.Medians, r.Verdicts = nil, nil
	for _, w := range works {
		for _, c := range r.Contenders {
			if m, ok := mediansOf(r.Runs, w.name, c.Name); ok {
				r.Medians = append(r.Medians, m)
			}
		}
	}
	for _, c := range r.Contenders {
		if c.Kind != "usher" {
			continue
		}
		for _, g := range targets {
			if ratio, ok := g.judge(r.Runs, c.Name); ok {
				r.Verdicts = append(r.Verdicts, verdict{g.work, c.Name, g.words(), ratio, g.most, ratio.Median <= g.most})
			}
		}
		if more := r.idleOf(c.Name) - r.idleOf(echoName); !math.IsNaN(more) {
			r.Verdicts = append(r.Verdicts, verdict{idleWork, c.Name, fmt.Sprintf("KiB RSS above a bare TLS server: at most %d", idleMost),
				spread{more, more, more}, idleMost, more <= idleMost})
		}
	}
}

func mediansOf(runs []run, work, contender string) (m medians, ok bool) {
	mine := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.Work != work || r.Contender != contender })
	if len(mine) == 0 {
		return m, false
	}
	of := func(f func(run) float64) float64 {
		var values []float64
		for _, r := range mine {
			values = append(values, f(r))
		}
		return median(values)
	}
	m = medians{
		Work: work, Contender: contender, Runs: len(mine), TLS: mine[0].TLS,
		Rate: of(func(r run) float64 { return r.Rate }), CPU: of(func(r run) float64 { return r.CPU }),
		P50: of(func(r run) float64 { return r.P50 }), P99: of(func(r run) float64 { return r.P99 }),
		RSS: of(func(r run) float64 { return float64(r.RSS) }), PSS: of(func(r run) float64 { return float64(r.PSS) }),
		Peak:    of(func(r run) float64 { return float64(r.Peak) }),
		LoadCPU: of(func(r run) float64 { return r.LoadCPU }), UpstreamCPU: of(func(r run) float64 { return r.UpstreamCPU }),
		CPULow: math.Inf(1),
	}
	for _, r := range mine {
		m.NewUpstream = max(m.NewUpstream, r.NewUpstream)
		m.CPULow, m.CPUHigh = min(m.CPULow, r.CPU), max(m.CPUHigh, r.CPU)
	}
	return m, true
}

// idleOf is the median KiB of an idle connection; NaN where it was not measured.
func (r *results) idleOf(name string) float64 {
	var values []float64
	for _, i := range r.Idle {
		if i.Contender == name {
			values = append(values, i.RSS)
		}
	}
	return median(values)
}

func (r *results) json() ([]byte, error) {
	r.sum()
	return json.MarshalIndent(r, "", "\t")
}

// A table has a title, a header and rows of the same number of cells.
type table struct {
	title string
	rows  [][]string
}

func (r *results) tables() (all []table) {
	for _, w := range works {
		t := table{title: fmt.Sprintf("%s: %s (h2load %s)", w.name, w.title, shortened(w.command(r.Threads)))}
		for _, m := range r.Medians {
			if m.Work != w.name {
				continue
			}
			t.rows = append(t.rows, []string{m.Contender, number(m.Rate, 0), number(m.CPU, 1), fmt.Sprintf("%.1f to %.1f", m.CPULow, m.CPUHigh),
				milliseconds(m.P50), milliseconds(m.P99), mebibytes(m.RSS), mebibytes(m.PSS), mebibytes(m.Peak), fmt.Sprint(m.NewUpstream)})
		}
		if len(t.rows) > 0 {
			header := []string{"", "requests/s", "CPU µs/request", "its range", "p50 ms", "p99 ms", "RSS MiB", "PSS MiB", "VmHWM MiB", "new upstream connections"}
			t.rows = slices.Insert(t.rows, 0, header)
			all = append(all, t)
		}
	}
	if t := r.idleTable(); len(t.rows) > 1 {
		all = append(all, t)
	}
	if len(r.Verdicts) > 0 {
		all = append(all, r.verdictTable())
	}
	return all
}

func (r *results) idleTable() table {
	t := table{title: "idle: memory of idle HTTP/2 connections after one request each", rows: [][]string{{"", "KiB RSS a connection", "above a bare TLS server"}}}
	bare := r.idleOf(echoName)
	for _, name := range append([]string{echoName}, names(r.Contenders)...) {
		if v := r.idleOf(name); !math.IsNaN(v) {
			t.rows = append(t.rows, []string{name, number(v, 1), number(v-bare, 1)})
		}
	}
	return t
}

func names(all []described) (names []string) {
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names
}

func (r *results) verdictTable() table {
	t := table{title: "targets (median of the rounds' ratios, lowest and highest)", rows: [][]string{{"work", "who", "target", "measured", "range", ""}}}
	for _, v := range r.Verdicts {
		word := "missed"
		if v.Met {
			word = "met"
		}
		t.rows = append(t.rows, []string{v.Work, v.Contender, v.Target, number(v.Ratio.Median, 3),
			fmt.Sprintf("%.3f to %.3f", v.Ratio.Low, v.Ratio.High), word})
	}
	return t
}

// text is for a terminal.
func (r *results) text() string {
	r.sum()
	var b strings.Builder
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n%s\n", t.title)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range t.rows {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		w.Flush()
	}
	fmt.Fprintf(&b, "\n%s\n%s; took %s\n", r.how(), r.with(), r.Took)
	return b.String()
}

// markdown is for a page: the same tables, and the configurations.
func (r *results) markdown() string {
	r.sum()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.how(), r.with())
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n%s\n\n", t.title)
		for i, row := range t.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
			}
		}
	}
	for _, c := range r.Contenders {
		fmt.Fprintf(&b, "\n%s %s\n\n```\n%s```\n", c.Name, c.File, c.Configuration)
	}
	return b.String()
}

func (r *results) how() string {
	suites := []string{}
	for _, m := range r.Runs {
		if m.TLS != "" && !slices.Contains(suites, m.TLS) {
			suites = append(suites, m.TLS)
		}
	}
	return fmt.Sprintf("%d rounds with another order each, a fresh process for each run of about %v s behind a warm-up of 0.5 s; medians. "+
		"Contenders, upstream and h2load share %d processors; contenders may use two. CPU is that of the contender's processes alone "+
		"(user and system). RSS is the most of its processes together during the load. TLS: %s.",
		r.Rounds, r.Seconds, runtime.NumCPU(), strings.Join(suites, "; "))
}

func (r *results) with() string {
	var with []string
	for _, c := range r.Contenders {
		with = append(with, c.Name+" "+c.Version)
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	release, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-")
	return fmt.Sprintf("%s; Linux %s; %s", strings.Join(with, ", "), release, r.Begin.Format("2 January 2006"))
}

// shortened leaves out the values of header fields.
func shortened(args []string) string {
	var words []string
	fields := 0
	for i := 0; i < len(args); i++ {
		if args[i] == "-H" && !strings.HasPrefix(args[i+1], ":") {
			fields++
			i++
			continue
		}
		words = append(words, args[i])
	}
	if fields > 0 {
		words = append(words, fmt.Sprintf("and %d -H", fields))
	}
	return strings.Join(words, " ")
}

func number(v float64, digits int) string { return fmt.Sprintf("%.*f", digits, v) }

func milliseconds(micro float64) string { return fmt.Sprintf("%.2f", micro/1e3) }

func mebibytes(kib float64) string { return fmt.Sprintf("%.0f", kib/1024) }
