package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/names"
	"github.com/usher-http/usher/probe/report"
	"github.com/usher-http/usher/probe/wire"
)

func (s *session) probe() *cobra.Command {
	c := &cobra.Command{
		Use:   "probe NAME...",
		Short: "Find out how any server treats misdirected requests",
		Long: `Connect to each NAME (a host, with a port where it is not 443), see which of them browsers would reach over one connection, and
ask for each on the connections of the others, over HTTP/1.1, HTTP/2 and HTTP/3: is the right site served, is the request
refused with 421, or does it get another site's page, or past client authentication? Sessions of one host are resumed for
another, server names and authorities are sent in odd forms, and each 421 is looked at.

Only GET (or HEAD) of --path and OPTIONS * are sent, one connection to an address at a time and 20 requests a second to it,
unless flags say otherwise. The server needs no preparation.

Findings are explained in docs/probe.md; each has a severity (info, low, medium, high, critical) and a cure, with lines for the
configuration of nginx, apache, haproxy, lighttpd, caddy, envoy, traefik, go or usher.

Exit code: 0 no finding at or above --fail-on; 1 there are some; 2 it could not run, or no host could be reached.

With --json: lines with one object each, whose type is host, pair, finding or summary; docs/probe.schema.json describes them.`,
		Example: `  usher probe www.example.com api.example.com static.example.com
  usher probe --from /etc/nginx/nginx.conf
  usher probe www.example.com --from-cert
  usher probe --names hosts.txt --json >report.jsonl
  usher probe a.test b.test --connect ::127.0.0.1:8443 --ca ca.pem
  usher probe staff.test www.test --cert me.pem --key me.key    what is behind client authentication, too
  usher probe --names hosts.txt --html report.html --baseline last-week.jsonl
  usher probe --compare old.jsonl new.jsonl
  usher probe --suite-setup DIR; usher serve -c DIR/usher.yaml & usher probe --suite DIR
  usher probe --bulk --names million.txt --state place.json --json >>results.jsonl`,
	}
	f := probeFlags{
		names:       c.Flags().String("names", "", "`FILE` with names, one a line; - for standard input"),
		from:        c.Flags().StringArray("from", nil, "read the names of a configuration: nginx.conf, or an usher.yaml (`FILE`)"),
		fromCert:    c.Flags().Bool("from-cert", false, "probe the names of each certificate that is met, too"),
		connect:     c.Flags().StringArray("connect", nil, "`HOST:PORT:ADDRESS:PORT`: connect elsewhere; empty parts stand for any, or the same"),
		ca:          c.Flags().String("ca", "", "`FILE` with certificates to trust instead of the system's"),
		cert:        c.Flags().String("cert", "", "`FILE` with a client certificate to show where one is asked for"),
		key:         c.Flags().String("key", "", "`FILE` with its key"),
		protocols:   c.Flags().StringSlice("protocols", []string{"h1", "h2", "h3"}, "`LIST` of protocols to speak"),
		path:        c.Flags().String("path", "/", "`PATH` to ask for"),
		method:      choiceFlag(c, "method", "`METHOD` to ask with: GET or HEAD", "GET", "HEAD"),
		concurrency: c.Flags().Int("concurrency", 1, "connections (`N`) to one address at a time"),
		rate:        c.Flags().Float64("rate", 0, "requests and handshakes a second (`N`) in all; 0: no limit"),
		targetRate:  c.Flags().Float64("target-rate", 20, "the same to one address (`N`)"),
		timeout:     c.Flags().Duration("timeout", 10*time.Second, "`TIME` for each handshake and each answer"),
		server:      choiceFlag(c, "server", "`SERVER` to give cures for, whatever the Server field says", append([]string{"auto"}, probe.Servers()...)...),
		failOn:      choiceFlag(c, "fail-on", "least `SEVERITY` for exit code 1, or never", "low", "info", "medium", "high", "critical", "never"),
		json:        c.Flags().Bool("json", false, "write lines of JSON"),
		compare:     c.Flags().Bool("compare", false, "probe nobody: compare two reports of --json, OLD and NEW"),
		bulk:        c.Flags().Bool("bulk", false, "very many hosts: one HTTP/2 connection and two requests each; all streams"),
		state:       c.Flags().String("state", "", "with --bulk: `FILE` to keep the place in; the same command goes on after a stop"),
		parallel:    c.Flags().Int("parallel", 64, "addresses (`N`) to probe at a time; with --bulk, hosts"),
		suite:       c.Flags().String("suite", "", "ask a server that is set up for it the cases of the suite; `DIR` is that of --suite-setup"),
		suiteSetup:  c.Flags().String("suite-setup", "", "write certificates and configurations for the suite into `DIR`"),
		reports:     newReportFlags(c),
	}
	complete(c, "protocols", "h1", "h2", "h3")
	for _, dir := range []string{"suite", "suite-setup"} {
		if err := c.MarkFlagDirname(dir); err != nil {
			panic(err) // the flag does not exist
		}
	}
	for _, file := range []string{"names", "from", "ca", "cert", "key", "state"} {
		if err := c.MarkFlagFilename(file); err != nil {
			panic(err) // the flag does not exist
		}
	}
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		defer func() { // code 1 says that there are findings: whatever else goes wrong, such as a full disk, is no finding
			var exit *ExitError
			if err != nil && !errors.As(err, &exit) {
				err = &ExitError{exitInvalid, err}
			}
		}()
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		if *f.compare {
			return s.compareReports(f, args)
		}
		if *f.suiteSetup != "" || *f.suite != "" {
			if err := noArgs(c, args); err != nil {
				return err
			}
		}
		if *f.suiteSetup != "" {
			return s.suiteSetup(*f.suiteSetup)
		}
		return s.runProbe(ctx, f, args)
	}
	return c
}

type probeFlags struct {
	names, ca, cert, key, path *string
	connect, protocols         *[]string
	method, server, failOn     *choice
	concurrency                *int
	rate, targetRate           *float64
	timeout                    *time.Duration
	json, compare, bulk        *bool
	from                       *[]string
	fromCert                   *bool
	state, suite, suiteSetup   *string
	parallel                   *int
	reports                    reportFlags
}

func (s *session) runProbe(ctx context.Context, f probeFlags, args []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if *f.suite != "" {
		return s.runSuite(ctx, f, o)
	}
	if *f.bulk {
		return s.runBulk(ctx, f, o, args)
	}
	if *f.state != "" {
		return usageError("usher probe --bulk --state FILE", "--state goes with --bulk alone")
	}
	for _, file := range *f.from {
		found, err := s.namesFrom(file)
		if err != nil {
			return err
		}
		args = append(args, found...)
	}
	targets, err := s.targets(*f.names, args)
	if err != nil {
		return err
	}
	known, err := f.reports.known()
	if err != nil {
		return err
	}
	progress := s.progress()
	o.Progress = progress.show
	r, err := probe.Probe(ctx, targets, o)
	progress.clear()
	if err != nil {
		return &ExitError{exitInvalid, &hinted{errors.New("interrupted before the probe was through"), "nothing is reported of what was seen so far"}}
	}
	if known != nil {
		report.Without(r, known)
	}
	if err := s.writeReport(r, *f.json); err != nil {
		return err
	}
	least, fails := f.least()
	if err := f.reports.write(r, least, fails); err != nil {
		return err
	}
	return f.exit(r)
}

func (s *session) writeReport(r *probe.Report, asJSON bool) error {
	if asJSON {
		return report.JSON(s.stdout, r)
	}
	return report.Text(s.stdout, r, report.Style{Colours: s.paint(s.stdout).colours, Width: s.width()})
}

// width is the terminal's, or what COLUMNS says, within reason.
func (s *session) width() int {
	width := 0
	if f, ok := fileOf(s.stdout); ok {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	if n := s.getenv("COLUMNS"); width == 0 && n != "" {
		fmt.Sscan(n, &width)
	}
	if width == 0 {
		return 100
	}
	return min(max(width, 60), 140)
}

// exit says which code a report stands for.
func (f probeFlags) exit(r *probe.Report) error {
	if r.Summary.Unreachable == r.Summary.Hosts {
		return &ExitError{exitInvalid, errors.New("no host could be reached")}
	}
	return f.failed(r.Findings)
}

// least is the severity from which on findings make the exit code 1; fails is false where none does.
func (f probeFlags) least() (least probe.Severity, fails bool) {
	err := least.UnmarshalText([]byte(f.failOn.value))
	return least, err == nil
}

func (f probeFlags) failed(list []probe.Finding) error {
	least, fails := f.least()
	if fails && slices.ContainsFunc(list, func(x probe.Finding) bool { return x.Severity >= least }) {
		return &ExitError{Code: exitFailed}
	}
	return nil
}

// options makes of the flags what the prober wants.
func (f probeFlags) options() (o probe.Options, err error) {
	o = probe.Options{UserAgent: "usher-probe/" + moduleVersion() + " (+https://github.com/usher-http/usher)", Parallel: *f.parallel, FromCert: *f.fromCert, Path: *f.path, Head: f.method.value == "HEAD", Concurrency: *f.concurrency, Rate: *f.rate, TargetRate: *f.targetRate,
		Limits: wire.Limits{Connect: *f.timeout, Answer: *f.timeout}}
	if o.TargetRate == 0 {
		o.TargetRate = -1
	}
	if f.server.value != "auto" {
		o.Server = f.server.value
	}
	switch {
	case !strings.HasPrefix(*f.path, "/") || strings.ContainsAny(*f.path, " \r\n\t#"):
		return o, usageError("--path /health", "--path: %q is no path", *f.path)
	case *f.concurrency < 1 || *f.concurrency > 64:
		return o, usageError("one is polite", "--concurrency: %d is not between 1 and 64", *f.concurrency)
	case *f.parallel < 1 || *f.parallel > 4096:
		return o, usageError("--parallel 64", "--parallel: %d is not between 1 and 4096", *f.parallel)
	case *f.rate < 0 || *f.targetRate < 0:
		return o, usageError("0 stands for no limit", "--rate and --target-rate cannot be below 0")
	case *f.timeout <= 0 || *f.timeout > 10*time.Minute:
		return o, usageError("--timeout 10s", "--timeout: %s is not between 0 and 10 minutes", *f.timeout)
	}
	for _, word := range *f.protocols {
		p := wire.Protocol(strings.TrimSpace(word))
		if !slices.Contains([]wire.Protocol{wire.H1, wire.H2, wire.H3}, p) {
			return o, usageError("--protocols h1,h2", "--protocols: %q is not h1, h2 or h3", word)
		}
		if !slices.Contains(o.Protocols, p) {
			o.Protocols = append(o.Protocols, p)
		}
	}
	for _, text := range *f.connect {
		to, err := probe.ParseConnectTo(text)
		if err != nil {
			return o, usageError("--connect ::127.0.0.1:8443 sends every connection there", "--connect: %w", err)
		}
		o.Connect = append(o.Connect, to)
	}
	if o.Roots, err = roots(*f.ca); err != nil {
		return o, err
	}
	o.Certificate, err = clientCertificate(*f.cert, *f.key)
	return o, err
}

func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError("", "--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usageError("it must hold certificates in PEM", "--ca: %q has no certificate", file)
	}
	return pool, nil
}

func clientCertificate(cert, key string) (*tls.Certificate, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, usageError("--cert me.pem --key me.key", "--cert and --key go together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, usageError("", "--cert, --key: %w", err)
	}
	return &pair, nil
}

// targets reads the names of the command line and of a file, each once.
func (s *session) targets(file string, args []string) (list []probe.Target, err error) {
	seen := map[probe.Target]bool{}
	add := func(text string) error {
		t, err := probe.ParseTarget(text)
		if err != nil {
			return usageError("a host, with a port where it is not 443: www.example.com, [::1]:8443", "%w", err)
		}
		if !seen[t] {
			seen[t] = true
			list = append(list, t)
		}
		return nil
	}
	for _, a := range args {
		if err := add(a); err != nil {
			return nil, err
		}
	}
	if file != "" {
		if err := s.eachName(file, add); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, usageError("usher probe www.example.com api.example.com", "no names: whom is there to probe?")
	}
	return list, nil
}

// namesFrom reads the hosts of a configuration: YAML is usher's own, anything else nginx's.
func (s *session) namesFrom(file string) ([]string, error) {
	read := names.Nginx
	if ext := filepath.Ext(file); ext == ".yaml" || ext == ".yml" {
		read = names.Usher
	}
	list, err := read(file)
	if err != nil {
		return nil, usageError("", "--from: %w", err)
	}
	if len(list.Skipped) > 0 {
		fmt.Fprintf(s.stderr, "usher: %s: %s skipped: %s\n", file, counted(len(list.Skipped), "name that stands for many is", "names that stand for many are"), some(list.Skipped, 5))
	}
	if len(list.Odd) > 0 {
		fmt.Fprintf(s.stderr, "usher: %s: %s skipped: %q\n", file, counted(len(list.Odd), "name that is no host is", "names that are no hosts are"), some(list.Odd, 5))
	}
	if len(list.Hosts) == 0 {
		return nil, usageError("name them on the command line", "--from: %s has no names of sites with TLS", file)
	}
	return list.Hosts, nil
}

// eachName calls f for each name of a file: one a line, # begins a comment.
func (s *session) eachName(file string, f func(string) error) error {
	in := s.stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return usageError("", "--names: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	scanner := bufio.NewScanner(in)
	for n := 1; scanner.Scan(); n++ {
		text := scanner.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // editors of Windows put it there
		}
		line, _, _ := strings.Cut(text, "#")
		for _, name := range strings.Fields(line) {
			if err := f(name); err != nil {
				return fmt.Errorf("%s:%d: %w", file, n, err)
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return usageError("one name a line", "--names: %s: %w", file, err)
	}
	return nil
}

// A progressLine tells a terminal how far a run is.
type progressLine struct {
	w     io.Writer // nil: nobody looks
	width int
	last  time.Time
}

func (s *session) progress() *progressLine {
	f, ok := s.stderr.(*os.File)
	if !ok || s.getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return &progressLine{}
	}
	return &progressLine{w: f}
}

// progressEvery spares slow terminals.
const progressEvery = 100 * time.Millisecond

func (p *progressLine) show(part string, done, all int) {
	if p.w == nil || time.Since(p.last) < progressEvery && done < all {
		return
	}
	p.last = time.Now()
	const bar = 24
	full := bar * done / max(all, 1)
	text := fmt.Sprintf("%-16s [%s%s] %d/%d", part, strings.Repeat("=", full), strings.Repeat(" ", bar-full), done, all)
	fmt.Fprintf(p.w, "\r%-*s", p.width, text)
	p.width = len(text)
}

func (p *progressLine) clear() {
	if p.w != nil && p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
	}
}
