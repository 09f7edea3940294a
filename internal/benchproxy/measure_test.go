//go:build linux

package benchproxy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A run is what one run of one contender took. Times are in microseconds, memory in KiB.
type run struct {
	Work, Contender string
	Round           int
	Requests        int
	Rate            float64 // requests/s
	CPU             float64 // of the contender's processes, per request
	P50, P99        float64 // latency
	RSS             int     // the most that was resident at one time during the load; the sum of its processes
	PSS             int     // the same in the middle of the load, with shared pages counted once
	Peak            int     // VmHWM since the start; the sum of its processes
	NewUpstream     int     // upstream connections that were made during the load
	LoadCPU         float64 // of h2load, per request
	UpstreamCPU     float64 // of the upstream, per request
	TLS             string  // cipher suite and key exchange
}

// A bench has what all runs share.
type bench struct {
	dir      string // scratch
	certs    certificates
	upstream *child
	h2load   string
	content  string // a file of largeBytes
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), upstream: startChild(t, "upstream"), h2load: lookPath(t, "h2load")}
	b.certs = makeCertificates(t, b.dir)
	b.content = filepath.Join(b.dir, "content")
	if err := os.WriteFile(b.content, bytes.Repeat([]byte("content of a POST request 32 B.\n"), largeBytes/32), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// load runs h2load with more arguments and checks the answers; n is the number of requests, 0 where it is not known before.
func (b *bench) load(w work, addr string, n int, args ...string) (*loadResult, time.Duration, error) {
	logFile := filepath.Join(b.dir, "h2load.log")
	os.Remove(logFile) // h2load appends
	args = append([]string{"--connect-to=" + addr, "--log-file=" + logFile}, args...)
	if w.post {
		args = append(args, "-d", b.content)
	}
	cmd := exec.Command(b.h2load, append(args, w.command(*threads)...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	r, err := parseSummary(out)
	if err != nil {
		return nil, 0, err
	}
	log, err := os.Open(logFile)
	if err != nil {
		return nil, 0, err
	}
	defer log.Close()
	if err := r.readLog(log); err != nil {
		return nil, 0, err
	}
	if n > 0 {
		err = r.check(w, n)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return r, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

// warmUp returns how many requests the measured run is to have.
func (b *bench) warmUp(t *testing.T, p *running, w work) (int, error) {
	t.Helper()
	if w.each > 0 {
		n := w.conns * w.each
		_, _, err := b.load(w, p.addr, n, "-n", strconv.Itoa(n))
		if err != nil {
			return 0, err
		}
		return n, b.quiet(t, p)
	}
	r, _, err := b.load(w, p.addr, 0, "-D", "500ms")
	if err != nil {
		return 0, err
	}
	if r.statuses[w.status] == 0 {
		return 0, fmt.Errorf("%s: no answer of status %d in the warm-up, but (status:number) %v", w.name, w.status, r.statuses)
	}
	return max(int(r.rate**seconds), w.conns*w.streams), b.quiet(t, p)
}

// quiet waits until nothing is left of the warm-up: h2load goes away at its end, and what it had asked for is still being done.
func (b *bench) quiet(t *testing.T, p *running) error {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		cpu, err := p.tree.cpu()
		if err != nil {
			return err
		}
		_, requests := b.upstream.counts(t)
		time.Sleep(50 * time.Millisecond)
		after, err := p.tree.cpu()
		if err != nil {
			return err
		}
		if _, now := b.upstream.counts(t); now == requests && after-cpu <= tick {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("is not quiet 10 s after the warm-up")
		}
	}
}

// measure starts a process of the contender, warms it up and puts the load on it.
func (b *bench) measure(t *testing.T, c contender, w work) (*run, error) {
	t.Helper()
	p, err := c.start(t, b.certs, b.upstream.addr)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(p.dir) // the log is large
	defer p.stop()
	n, err := b.warmUp(t, p, w)
	if err != nil {
		return nil, err
	}
	m, err := b.under(t, p, w, n)
	if err != nil {
		return nil, err
	}
	m.Contender, m.Work = c.name, w.name
	return m, p.stopLogged(m.Requests)
}

// under measures a process under load: n requests, and more where they take less time than a run is to take.
func (b *bench) under(t *testing.T, p *running, w work, n int) (*run, error) {
	t.Helper()
	conns, requests := b.upstream.counts(t)
	upstreamCPU, err := b.upstream.tree.cpu()
	if err != nil {
		return nil, err
	}
	cpu, err := p.tree.cpu()
	if err != nil {
		return nil, err
	}
	look := p.tree.look(time.Duration(*seconds * float64(time.Second) / 2))
	all := &loadResult{statuses: map[int]int{}}
	var loadCPU time.Duration
	// One run of h2load, unless the warm-up was slower than what follows, or its connections have few requests.
	for all.seconds < *seconds*0.75 {
		r, used, err := b.load(w, p.addr, n, "-n", strconv.Itoa(n))
		if err != nil {
			look.stop()
			return nil, err
		}
		loadCPU += used
		all.add(r)
		if w.each == 0 {
			n = max(int(r.rate*(*seconds-all.seconds)), w.conns*w.streams)
		}
	}
	m, err := look.stop()
	if err != nil {
		return nil, err
	}
	cpuAfter, err := p.tree.cpu()
	if err != nil {
		return nil, err
	}
	upstreamAfter, err := b.upstream.tree.cpu()
	if err != nil {
		return nil, err
	}
	if m.Peak, err = p.tree.kilobytes("status", "VmHWM"); err != nil {
		return nil, err
	}
	connsAfter, requestsAfter := b.upstream.counts(t)
	if got, want := requestsAfter-requests, all.done; w.proxied() && got != want {
		return nil, fmt.Errorf("%d requests reached the upstream, want %d", got, want)
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(all.done) }
	slices.Sort(all.times)
	m.Requests, m.Rate, m.CPU = all.done, all.rate, each(cpuAfter-cpu)
	m.P50, m.P99 = percentile(all.times, 50), percentile(all.times, 99)
	m.NewUpstream, m.UpstreamCPU, m.LoadCPU = connsAfter-conns, each(upstreamAfter-upstreamCPU), each(loadCPU)
	m.TLS = all.cipher + ", " + all.key
	return m, nil
}

func (w work) proxied() bool { return w.path != "/fixed" && w.path != "/moved" && !w.misdirected }

// A watch looks at the memory of processes until it is stopped.
type watch struct {
	done  chan struct{}
	ended chan error
	run   run
}

// look begins to watch: RSS ten times a second, PSS once (to read that takes the kernel longer).
func (t tree) look(middle time.Duration) *watch {
	w := &watch{done: make(chan struct{}), ended: make(chan error, 1)}
	go func() { w.ended <- w.watch(t, middle) }()
	return w
}

func (w *watch) watch(t tree, middle time.Duration) error {
	often := time.NewTicker(100 * time.Millisecond)
	defer often.Stop()
	once := time.After(middle)
	for last := false; ; {
		rss, err := t.kilobytes("status", "VmRSS")
		if err != nil {
			return err
		}
		w.run.RSS = max(w.run.RSS, rss)
		if last && w.run.PSS > 0 {
			return nil
		}
		select {
		case <-often.C:
			continue
		case <-once:
		case <-w.done:
			last = true
		}
		if w.run.PSS == 0 {
			if w.run.PSS, err = t.kilobytes("smaps_rollup", "Pss"); err != nil {
				return err
			}
		}
	}
}

func (w *watch) stop() (*run, error) {
	close(w.done)
	err := <-w.ended
	return &w.run, err
}
