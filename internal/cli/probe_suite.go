package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
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

// suiteText writes a line for each case, and what was expected where it is not right.
func (s *session) suiteText(results []suite.Result, score suite.Score) {
	p := s.paint(s.stdout)
	const verdicts = 3*len("over-strict") + 3*len("  ")
	width := min(60, s.width()-verdicts)
	t := newTable(p, []int{width, 12, 12, 12}, "case", "HTTP/1.1", "HTTP/2", "HTTP/3")
	for len(results) > 0 {
		n := slices.IndexFunc(results, func(r suite.Result) bool { return r.ID != results[0].ID })
		if n < 0 {
			n = len(results)
		}
		row := []any{results[0].Title, "-", "-", "-"}
		var asides []string
		for i := range results[:n] {
			r := &results[i]
			column := 1 + slices.Index([]wire.Protocol{wire.H1, wire.H2, wire.H3}, r.Protocol)
			row[column] = verdictWord(p, r.Verdict)
			if aside := "got " + strings.Join(r.Answer, ", ") + "; right is " + either(r.Right) + " (" + r.RFC + ")"; !slices.Contains([]suite.Verdict{suite.Right, suite.Skipped}, r.Verdict) && !slices.Contains(asides, aside) {
				asides = append(asides, aside)
			}
		}
		t.AppendRow(row)
		for _, aside := range asides {
			for line := range strings.SplitSeq(text.WrapSoft(aside, width-len("| ")), "\n") {
				t.AppendRow([]any{p.faint("| " + strings.TrimSpace(line))}) // the table takes leading spaces away
			}
		}
		results = results[n:]
	}
	render(s.stdout, t)
	fmt.Fprintf(s.stdout, "\n%s of 100: %d right, %d over-strict, %d wrong, %d dangerous, %d not asked.\n", p.bold(fmt.Sprintf("%d points", score.Points)),
		score.Right, score.OverStrict, score.Wrong, score.Dangerous, score.Skipped)
}

func verdictWord(p palette, v suite.Verdict) string {
	switch v {
	case suite.Right:
		return p.good("right")
	case suite.OverStrict:
		return p.warn("over-strict")
	case suite.Wrong:
		return p.bad("wrong")
	case suite.Dangerous:
		return p.bad("DANGEROUS")
	}
	return p.faint("-")
}
