package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/usher-http/usher/internal/localca"
	"github.com/usher-http/usher/probe"
	"github.com/usher-http/usher/probe/suite"
	"github.com/usher-http/usher/probe/wire"
)

// suiteSetup writes certificates and configurations for the suite into a folder, which must be new or empty.
func (s *session) suiteSetup(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usageError("choose another one, or remove it", "--suite-setup: %q is not empty", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usageError("", "--suite-setup: %w", err)
	}
	if err := suiteCertificates(dir); err != nil {
		return &ExitError{exitInvalid, err}
	}
	if err := suite.Write(dir); err != nil {
		return &ExitError{exitInvalid, err}
	}
	fmt.Fprintf(s.stdout, "%s has certificates and configurations of nginx, Apache httpd, HAProxy, Caddy and usher for the suite.\n\n"+
		"  usher serve -c %[1]s/usher.yaml      or another server; README.md says how\n  usher probe --suite %[1]s\n", dir)
	return nil
}

// suiteLifetime is how long the certificates are good for.
const suiteLifetime = 90 * 24 * time.Hour

func suiteCertificates(dir string) error {
	now := time.Now()
	server, err := localca.New("usher probe suite", now)
	if err != nil {
		return err
	}
	clients, err := localca.New("usher probe suite, clients", now)
	if err != nil {
		return err
	}
	for name, ca := range map[string]*localca.CA{"ca.pem": server, "clients.pem": clients} {
		if err := os.WriteFile(filepath.Join(dir, name), ca.PEM(), 0o644); err != nil {
			return err
		}
	}
	me, err := clients.Issue(localca.Leaf{Client: true, CommonName: "suite", Now: now, NotAfter: now.Add(suiteLifetime)})
	if err != nil {
		return err
	}
	if err := writePair(dir, "client", me); err != nil {
		return err
	}
	for _, leaf := range suite.Leaves() {
		cert, err := server.Issue(localca.Leaf{Hosts: leaf.Hosts, Now: now, NotAfter: now.Add(suiteLifetime)})
		if err != nil {
			return err
		}
		if err := writePair(dir, leaf.Name, cert); err != nil {
			return err
		}
	}
	return nil
}

func writePair(dir, name string, cert tls.Certificate) error {
	key, err := localca.KeyPEM(cert.PrivateKey)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, name+".pem"), localca.CertificatePEM(cert), 0o644),
		os.WriteFile(filepath.Join(dir, name+".key"), key, 0o600))
}

// runSuite asks a server all cases.
func (s *session) runSuite(ctx context.Context, f probeFlags, o probe.Options) error {
	if err := f.suiteFlags(); err != nil {
		return err
	}
	address, err := suiteAddress(o.Connect)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(*f.suite, "client.pem"), filepath.Join(*f.suite, "client.key"))
	if err != nil {
		return usageError("usher probe --suite-setup DIR makes it", "--suite: %w", err)
	}
	progress := s.progress()
	o.Progress = progress.show
	results, err := suite.Run(ctx, address, &pair, o)
	progress.clear()
	if err != nil {
		return &ExitError{exitInvalid, &hinted{err, "README.md in " + *f.suite + " says how a server is set up; --connect ::ADDRESS:PORT where it is elsewhere"}}
	}
	score := suite.Count(results)
	if *f.json {
		err = s.suiteJSON(results, score)
	} else {
		s.suiteText(results, score)
	}
	if err != nil {
		return err
	}
	if score.Wrong+score.Dangerous > 0 {
		return &ExitError{Code: exitFailed}
	}
	return nil
}

// suiteFlags refuses what the suite does not do: a page that is not written should not be looked for.
func (f probeFlags) suiteFlags() error {
	for name, used := range map[string]bool{"junit": *f.reports.junit != "", "sarif": *f.reports.sarif != "", "html": *f.reports.html != "",
		"baseline": *f.reports.baseline != "", "cert": *f.cert != "", "names": *f.names != "", "from": len(*f.from) > 0, "from-cert": *f.fromCert,
		"bulk": *f.bulk, "state": *f.state != ""} {
		if used {
			return usageError("leave it out; without --suite, `usher probe one.suite.test two.suite.test ...` probes the same server like any other",
				"--%s does not go with --suite", name)
		}
	}
	return nil
}

// suiteAddress is where the server is: 127.0.0.1 and the suite's port, unless --connect says otherwise.
func suiteAddress(connect []probe.ConnectTo) (netip.AddrPort, error) {
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), suite.Port)
	for _, c := range connect {
		if c.ToHost != "" {
			a, err := netip.ParseAddr(c.ToHost)
			if err != nil {
				return address, usageError("--connect ::192.0.2.1:8443", "--suite: %q is no IP address", c.ToHost)
			}
			address = netip.AddrPortFrom(a, address.Port())
		}
		if n, err := strconv.ParseUint(c.ToPort, 10, 16); err == nil {
			address = netip.AddrPortFrom(address.Addr(), uint16(n))
		}
	}
	return address, nil
}

func (s *session) suiteJSON(results []suite.Result, score suite.Score) error {
	e := json.NewEncoder(s.stdout)
	e.SetEscapeHTML(false)
	for i := range results {
		if err := e.Encode(struct {
			Type string `json:"type"`
			*suite.Result
		}{"case", &results[i]}); err != nil {
			return err
		}
	}
	return e.Encode(struct {
		Type string `json:"type"`
		suite.Score
	}{"score", score})
}

// suiteText writes a line for each case, and below it what was expected where it is not right.
func (s *session) suiteText(results []suite.Result, score suite.Score) {
	t := &suiteTable{w: s.stdout, palette: s.paint(s.stdout), width: s.width()}
	fmt.Fprintln(s.stdout, t.bold(fmt.Sprintf("%-*s  %-11s  %-11s  %s", t.room(), "case", "HTTP/1.1", "HTTP/2", "HTTP/3")))
	for len(results) > 0 {
		n := slices.IndexFunc(results, func(r suite.Result) bool { return r.ID != results[0].ID })
		if n < 0 {
			n = len(results)
		}
		cells := [3]string{"-", "-", "-"}
		var asides []string
		for i := range results[:n] {
			r := &results[i]
			cells[slices.Index([]wire.Protocol{wire.H1, wire.H2, wire.H3}, r.Protocol)] = verdictWord(r.Verdict)
			if aside := suiteAside(r); r.Verdict != suite.Right && r.Verdict != suite.Skipped && !slices.Contains(asides, aside) {
				asides = append(asides, aside)
			}
		}
		t.row(results[0].Title, cells)
		for _, aside := range asides {
			t.aside(aside)
		}
		results = results[n:]
	}
	fmt.Fprintf(s.stdout, "\n%s of 100: %d right, %d over-strict, %d wrong, %d dangerous, %d not asked.\n", t.bold(fmt.Sprintf("%d points", score.Points)),
		score.Right, score.OverStrict, score.Wrong, score.Dangerous, score.Skipped)
	if score.Dangerous > 0 {
		fmt.Fprintln(s.stdout, "With anything dangerous there are at most 50.")
	}
	if score.Skipped > 0 {
		fmt.Fprintln(s.stdout, "- is not asked: the case has no such question, or the server does not speak the protocol.")
	}
}

// suiteAside says what came, and what would have been right and why.
func suiteAside(r *suite.Result) string {
	var got, right []string
	for _, word := range r.Answer {
		got = append(got, suiteWord(word))
	}
	for _, word := range r.Right {
		right = append(right, suiteWord(word))
	}
	return "got " + strings.Join(got, ", ") + "; right is " + either(right) + ": " + r.Reason + " (" + r.RFC + ")"
}

// suiteWords are the words of the cases as people say them.
var suiteWords = map[string]string{
	"content:*": "content", "content:unknown": "content of none of the hosts", "redirect": "a redirect", "alert": "a TLS alert", "reset": "a reset", "closed": "a closed connection",
	"resumed": "a resumed session", "no-store": "421 with no-store", "no-alt-svc": "421 without Alt-Svc", "usable": "a connection that is still of use",
	"421, not no-store": "421 without no-store", "421, not no-alt-svc": "421 with Alt-Svc", "421, not usable": "421, and a connection of no more use",
}

func suiteWord(word string) string {
	if said := suiteWords[word]; said != "" {
		return said
	}
	if status, ok := strings.CutPrefix(word, "no 421: "); ok {
		return status + ", no 421 to look at"
	}
	if host, ok := strings.CutPrefix(word, "content:"); ok {
		return "the content of " + host
	}
	return word
}

func verdictWord(v suite.Verdict) string {
	switch v {
	case suite.Dangerous:
		return "DANGEROUS"
	case suite.Skipped:
		return "-"
	}
	return string(v)
}

// A suiteTable has a wide column for cases and three for verdicts; asides go over the whole width.
type suiteTable struct {
	w io.Writer
	palette
	width int
}

const verdictColumn = len("over-strict") + len("  ")

// room is how wide the column of cases is; the longest title has 68 letters.
func (t *suiteTable) room() int { return min(68, t.width-3*verdictColumn) }

func (t *suiteTable) row(title string, cells [3]string) {
	room := t.room()
	for i, line := range strings.Split(text.WrapSoft(title, room), "\n") {
		line = strings.TrimSpace(line)
		if i == 0 {
			line += strings.Repeat(" ", room-len(line))
			for j, cell := range cells {
				line += "  " + t.verdict(cell)
				if j < len(cells)-1 {
					line += strings.Repeat(" ", verdictColumn-len("  ")-len(cell))
				}
			}
		}
		fmt.Fprintln(t.w, line)
	}
}

func (t *suiteTable) verdict(word string) string {
	switch word {
	case string(suite.Right):
		return t.good(word)
	case string(suite.OverStrict):
		return t.warn(word)
	case string(suite.Wrong), "DANGEROUS":
		return t.bad(word)
	}
	return t.faint(word)
}

func (t *suiteTable) aside(words string) {
	for line := range strings.SplitSeq(text.WrapSoft(words, t.width-len("  | ")), "\n") {
		fmt.Fprintln(t.w, t.faint("  | "+strings.TrimSpace(line)))
	}
}
