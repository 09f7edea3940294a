package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/report"
)

// A bulkRun is the short check of very many hosts: names stream in, results stream out.
type bulkRun struct {
	s     *session
	f     probeFlags
	out   *bufio.Writer
	saved time.Time // when the output was flushed and the state written

	mu      sync.Mutex // names are read while results come
	state   bulkState
	pending []string // names from state.Done on that were read
	begun   int      // names of this run that are finished
	broken  error    // the state cannot be written

	summary probe.Summary
	worst   probe.Severity
	failed  bool // something at or above --fail-on
	began   time.Time
}

// A bulkState is what --state keeps: where to go on.
type bulkState struct {
	Version int    `json:"version"` // 1
	Done    int    `json:"done"`    // names from the first on that are finished, without a gap
	Last    string `json:"last"`    // the last of them: another list is noticed
}

// saveEvery is how often the state is written: a run that is killed asks this much again.
const saveEvery = time.Second

func (s *session) runBulk(ctx context.Context, f probeFlags, o probe.Options, args []string) error {
	if err := f.bulkFlags(); err != nil {
		return err
	}
	if len(args) == 0 && *f.names == "" {
		return usageError("usher probe --bulk --names hosts.txt", "no names: whom is there to probe?")
	}
	b := &bulkRun{s: s, f: f, out: bufio.NewWriterSize(s.stdout, 64<<10), began: time.Now(), saved: time.Now(), summary: probe.Summary{BySeverity: map[string]int{}}}
	if err := b.load(); err != nil {
		return err
	}
	progress := s.progress()
	o.Progress = nil
	err := probe.Bulk(ctx, b.names(args), o, func(r probe.BulkResult) error {
		progress.count(b.summary.Hosts)
		return b.emit(r)
	}, b.finished)
	progress.clear()
	if saved := b.save(); err == nil {
		err = saved
	}
	var exit *ExitError
	switch {
	case errors.As(err, &exit):
		b.out.Flush()
		return err
	case ctx.Err() != nil:
		b.out.Flush()
		hint := "without --state FILE it begins anew"
		if *f.state != "" {
			hint = "the same command goes on from there"
		}
		return &ExitError{exitInvalid, &hinted{fmt.Errorf("interrupted after %d hosts", b.summary.Hosts), hint}}
	case err != nil:
		return &ExitError{exitInvalid, err}
	}
	return b.end()
}

// bulkFlags refuses what the short check does not do.
func (f probeFlags) bulkFlags() error {
	for name, used := range map[string]bool{"junit": *f.reports.junit != "", "sarif": *f.reports.sarif != "", "html": *f.reports.html != "",
		"baseline": *f.reports.baseline != "", "cert": *f.cert != "",
		"from": len(*f.from) > 0, "from-cert": *f.fromCert} {
		if used {
			return usageError("leave it out, or probe a few hosts without --bulk", "--%s does not go with --bulk", name)
		}
	}
	return nil
}

// load reads the state, if there is one.
func (b *bulkRun) load() error {
	if *b.f.state == "" {
		return nil
	}
	text, err := os.ReadFile(*b.f.state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b.state)
	}
	if err == nil && (b.state.Version != 1 || b.state.Done < 0) {
		err = fmt.Errorf("version %d is not 1", b.state.Version)
	}
	if err != nil {
		return usageError("remove it to begin anew", "--state: %s: %w", *b.f.state, err)
	}
	return nil
}

// save writes the state, whole or not at all. What it says is finished has been written out before.
func (b *bulkRun) save() error {
	b.saved = time.Now()
	if err := b.out.Flush(); err != nil || *b.f.state == "" {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Version = 1
	text, err := json.Marshal(b.state)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(*b.f.state), ".usher-probe-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(text, '\n'))
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), *b.f.state)
}

// names are those of the command line and of the file, behind those that are finished.
func (b *bulkRun) names(args []string) iter.Seq2[string, error] {
	skip, last := b.state.Done, ""
	return func(yield func(string, error) bool) {
		stop := errors.New("enough")
		take := func(name string) error {
			if skip > 0 {
				if skip--; skip == 0 && name != b.state.Last {
					return usageError("remove the file to begin anew", "--state: the names are others than those of %s: %q stands where %q stood", *b.f.state, name, b.state.Last)
				}
				last = name
				return nil
			}
			b.mu.Lock()
			b.pending = append(b.pending, name)
			b.mu.Unlock()
			if !yield(name, nil) {
				return stop
			}
			return nil
		}
		err := func() error {
			for _, a := range args {
				if err := take(a); err != nil {
					return err
				}
			}
			if *b.f.names == "" {
				return nil
			}
			return b.s.eachName(*b.f.names, take)
		}()
		if err == nil && skip > 0 {
			err = usageError("remove the file to begin anew", "--state: the names are fewer than those of %s; the last one is %q", *b.f.state, last)
		}
		if err != nil && !errors.Is(err, stop) {
			yield("", err)
		}
	}
}

// finished is told how many names of this run are finished, after the result of each.
func (b *bulkRun) finished(n int) {
	b.mu.Lock()
	if more := n - b.begun; more > 0 {
		b.state.Done, b.state.Last, b.begun = b.state.Done+more, b.pending[more-1], n
		b.pending = b.pending[more:]
	}
	b.mu.Unlock()
	if time.Since(b.saved) >= saveEvery {
		b.broken = b.save()
	}
}

func (b *bulkRun) emit(r probe.BulkResult) error {
	if b.broken != nil {
		return b.broken
	}
	b.count(&r)
	var lines bytes.Buffer
	write := b.text
	if *b.f.json {
		write = report.BulkJSON
	}
	if err := write(&lines, &r); err != nil {
		return err
	}
	if lines.Len() > b.out.Available() { // whole lines go out: who kills the run and goes on finds no half one in the file
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	_, err := b.out.Write(lines.Bytes())
	return err
}

func (b *bulkRun) count(r *probe.BulkResult) {
	b.summary.Hosts++
	if r.Host.Unreachable != "" {
		b.summary.Unreachable++
	}
	least, fails := b.f.least()
	for i := range r.Findings {
		severity := r.Findings[i].Severity
		b.summary.Findings++
		b.summary.BySeverity[severity.String()]++
		b.worst = max(b.worst, severity)
		b.failed = b.failed || fails && severity >= least
	}
	if b.summary.Findings > 0 {
		b.summary.Worst = b.worst.String()
	}
}

// text writes a line for each finding, and for each host that cannot be reached.
func (b *bulkRun) text(w io.Writer, r *probe.BulkResult) error {
	paint := b.s.paint(b.s.stdout)
	if r.Host.Unreachable != "" {
		_, err := fmt.Fprintf(w, "%-22s %s  %s\n", "not reached", r.Host.Name, r.Host.Unreachable)
		return err
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		word := fmt.Sprintf("%-22s", f.Severity.String()+" "+string(f.ID))
		if f.Severity > probe.Info {
			word = paint.warn(word)
		}
		text := f.Got
		if f.Kind != "" {
			text = strings.ReplaceAll(string(f.Kind), "-", " ") + ": " + text
		}
		if _, err := fmt.Fprintf(w, "%s %s  %s\n", word, r.Host.Name, text); err != nil {
			return err
		}
	}
	return nil
}

func (b *bulkRun) end() error {
	b.summary.Seconds = time.Since(b.began).Seconds()
	var err error
	if *b.f.json {
		err = report.BulkSummary(b.out, &b.summary)
	} else {
		_, err = fmt.Fprintf(b.out, "%s in %.1f s: %s, %d not reached.\n", counted(b.summary.Hosts, "host", "hosts"), b.summary.Seconds,
			counted(b.summary.Findings, "finding", "findings"), b.summary.Unreachable)
	}
	if flushed := b.out.Flush(); err == nil {
		err = flushed
	}
	switch {
	case err != nil:
		return &ExitError{exitInvalid, err}
	case b.summary.Hosts > 0 && b.summary.Unreachable == b.summary.Hosts:
		return &ExitError{exitInvalid, errors.New("no host could be reached")}
	case b.failed:
		return &ExitError{Code: exitFailed}
	}
	return nil
}

// count tells a terminal how many hosts are done.
func (p *progressLine) count(n int) {
	if p.w == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("%d hosts", n)
	fmt.Fprintf(p.w, "\r%-*s", p.width, text)
	p.width = len(text)
}
