package cli

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/gateway/demo"
)

// demoObject is what `usher demo --json` writes.
type demoObject struct {
	Address   string          `json:"address"`       // https, TCP and UDP
	Plain     string          `json:"plain_address"` // http
	CA        string          `json:"ca"`            // file with the root certificate, while the demo serves
	Exchanges []demo.Exchange `json:"exchanges"`
	OK        bool            `json:"ok"` // every answer was the expected one
}

func (s *session) demo() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it at work on this machine",
		Long: `Start a gateway on loopback with a few sites under localhost names and certificates of its own, send it the requests that
show what it is for, over HTTP/1.1, HTTP/2 and HTTP/3, and print each answer with its reason. Then print commands to try and
serve until interrupted. It needs no file, no privilege and no network, and leaves nothing behind.

Exit code: 0 every answer was the expected one; 1 not, or it did not work.

With --json: an object with
  address, plain_address  where it serves https and http
  ca                      the file with the root certificate
  exchanges               a list of {chapter, protocol, connection, opened_for, resumed, client_certificate, method,
                          authority, path, status, reason, alert, location, expected, ok}
  ok                      every answer was the expected one`,
		Example: `  usher demo
  usher demo --once --json`,
		Args: noArgs,
	}
	once := c.Flags().Bool("once", false, "end after the requests")
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	address := c.Flags().String("address", "127.0.0.1:0", "loopback address to serve on; port 0 lets the system choose")
	complete(c, "address", "127.0.0.1:8443", "[::1]:8443")
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		// A pipe that nobody reads must not kill the program before it has tidied up: writes fail instead.
		pipe := make(chan os.Signal, 1)
		signal.Notify(pipe, syscall.SIGPIPE)
		defer signal.Stop(pipe)
		s.stdout = &watched{s.stdout, stop}
		return s.runDemo(ctx, *address, *once, *asJSON)
	}
	return c
}

// A watched writer calls off when nobody takes what is written.
type watched struct {
	io.Writer
	off func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.off()
	}
	return n, err
}

func (s *session) runDemo(ctx context.Context, address string, once, asJSON bool) (err error) {
	if err := demo.CheckAddress(address); err != nil {
		return usageError("--address 127.0.0.1:8443", "--address: %w", err)
	}
	d, err := demo.Start(ctx, address)
	if err != nil {
		return &ExitError{exitFailed, err}
	}
	defer func() {
		if closed := d.Close(); err == nil && closed != nil {
			err = &ExitError{exitFailed, closed}
		}
	}()
	// The client of the demo is net/http's, which complains here of the ORIGIN frames that it does not know.
	old := log.Writer()
	log.SetOutput(io.Discard)
	begin := time.Now()
	exchanges, err := d.Run(ctx)
	log.SetOutput(old)
	if ctx.Err() != nil {
		return nil // interrupted
	}
	if err != nil {
		return &ExitError{exitFailed, err}
	}
	o := demoObject{Address: d.TLS, Plain: d.HTTP, CA: d.Path("ca.pem"), Exchanges: exchanges}
	o.OK = !slices.ContainsFunc(exchanges, func(e demo.Exchange) bool { return !e.OK })
	if asJSON {
		err = writeJSON(s.stdout, o)
	} else {
		s.printDemo(o, time.Since(begin))
	}
	if err != nil {
		return err
	}
	if !once {
		if !asJSON {
			s.printCommands(d)
			d.Follow(s.printEntry)
		}
		select {
		case <-ctx.Done():
		case <-d.Failed():
		}
	}
	return o.exit()
}

func (o demoObject) exit() error {
	if !o.OK {
		return &ExitError{Code: exitFailed}
	}
	return nil
}

func (s *session) printDemo(o demoObject, took time.Duration) {
	paint := s.paint(s.stdout)
	fmt.Fprintf(s.stdout, `A gateway serves https on %s (HTTP/1.1, HTTP/2, HTTP/3) and http on %s.

  shop, api, staff, pay  share one certificate; staff requires a client certificate, and pay wants
                         connections of its own
  blog                   has a certificate of its own

Each request goes out on the connection that its line names: #1 is the first one, opened for the
host beside the number. Hosts are asked for with port %s, left out where it says nothing.
`, o.Address, o.Plain, portOf(o.Address))
	wrong := 0
	for list := o.Exchanges; len(list) > 0; {
		n := 0
		t := newTable(paint, nil)
		t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMin: 10}, {Number: 2, WidthMin: 29}, {Number: 3, WidthMin: 27}})
		for ; n < len(list) && list[n].Chapter == list[0].Chapter; n++ {
			t.AppendRow(exchangeRow(paint, &list[n]))
			if !list[n].OK {
				wrong++
			}
		}
		fmt.Fprintf(s.stdout, "\n%s\n", paint.bold(list[0].Chapter))
		render(s.stdout, t)
		list = list[n:]
	}
	result := paint.good("all of them answered as they must be")
	if wrong > 0 {
		result = paint.bad(counted(wrong, "answer was", "answers were") + " not the expected one")
	}
	fmt.Fprintf(s.stdout, "\n%s in %s: %s.\n", counted(len(o.Exchanges), "request", "requests"), took.Round(10*time.Millisecond), result)
}

func exchangeRow(p palette, e *demo.Exchange) table.Row {
	conn := fmt.Sprintf("%-3s %s", fmt.Sprintf("#%d", e.Connection), e.OpenedFor)
	switch {
	case e.OpenedFor == "":
		conn += "plaintext"
	case e.Resumed:
		conn += " (resumed)"
	case e.Certificate:
		conn += " (+ cert.)"
	}
	host := e.Authority
	if e.Plain {
		host, _, _ = net.SplitHostPort(host)
	}
	answer := e.Answer()
	switch {
	case !e.OK:
		answer = p.bad(answer + ", expected " + e.Want)
	case e.Status == 200:
		answer = p.good(answer)
	default:
		answer = p.warn(answer)
	}
	return table.Row{"  " + protocolName(e.Protocol), conn, fmt.Sprintf("%s %s%s", e.Method, host, e.Path), answer}
}

// printCommands writes what to try in another terminal.
func (s *session) printCommands(d *demo.Demo) {
	paint := s.paint(s.stdout)
	port := portOf(d.TLS)
	host := strings.TrimSuffix(d.TLS, ":"+port)
	curl := fmt.Sprintf("curl -i --cacert %s --resolve '*:%s:%s'", d.Path("ca.pem"), port, host)
	other := func(host string) string { return fmt.Sprintf(" -H 'Host: %s:%s'", host, port) }
	fmt.Fprintf(s.stdout, "\n%s\n", paint.bold("Try it, in another terminal"))
	for _, line := range [][2]string{
		{"a site", curl + " " + d.URL("api.localhost", "/orders")},
		{"api on a connection for blog: 421", curl + other("api.localhost") + " " + d.URL("blog.localhost", "/orders")},
		{"api on a connection for shop, whose certificate covers both: 200", curl + other("api.localhost") + " " + d.URL("shop.localhost", "/orders")},
		{"staff on a connection for shop: 421", curl + other("staff.localhost") + " " + d.URL("shop.localhost", "/")},
		{"staff with its client certificate: 200", fmt.Sprintf("%s --cert %s --key %s %s", curl, d.Path("client.pem"), d.Path("client.key"), d.URL("staff.localhost", "/"))},
		{"the configuration, explained", fmt.Sprintf("%s check -c %s", program(), d.Path("usher.yaml"))},
	} {
		fmt.Fprintf(s.stdout, "\n  %s\n  %s\n", paint.faint("# "+line[0]), line[1])
	}
	fmt.Fprintf(s.stdout, "\nServing; what arrives is shown here. Ctrl-C ends it and removes %s.\n", d.Dir)
}

// program is how this program can be started again.
func program() string {
	if _, err := exec.LookPath("usher"); err == nil {
		return "usher"
	}
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "usher"
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// printEntry writes a request that somebody sent.
func (s *session) printEntry(e demo.Entry) {
	sni := e.SNI
	if sni == "" {
		sni = "none"
	}
	fmt.Fprintf(s.stdout, "  %-3s  SNI %s: %s %s%s  %d %s\n", e.Protocol, sni, e.Method, e.Authority, e.Path, e.Status, e.Reason)
}
