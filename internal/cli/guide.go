package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/internal/gateway/demo"
	"github.com/usher-http/usher/statuscode/web"
)

func (s *session) guide() *cobra.Command {
	c := &cobra.Command{
		Use:   "guide",
		Short: "The guide to HTTP status codes, in a browser",
		Long: `Serve the guide to HTTP status codes on this machine until interrupted: a list with a search, a page for each code, a JSON API
(/api/codes, /api/codes/421), and /try/CODE, which answers with just that status, for testing clients. On the page about 421 a
misdirected request can be watched: a gateway and a client on this machine, with certificates of their own.`,
		Example: `  usher guide
  usher guide --address 127.0.0.1:8080
  usher guide export site              the pages as files`,
	}
	group(c)
	c.AddCommand(s.guideExport())
	address := c.Flags().String("address", "127.0.0.1:0", "loopback address to serve on; port 0 lets the system choose")
	complete(c, "address", "127.0.0.1:8080", "[::1]:8080")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return s.runGuide(ctx, *address)
	}
	return c
}

func (s *session) runGuide(ctx context.Context, address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return usageError("--address 127.0.0.1:8080", "--address: %q is no IP address with a port", address)
	}
	if !a.Addr().IsLoopback() {
		hint := "usher guide export DIR makes files for any web server, and the gateway serves the guide with guide: true in a route"
		return usageError(hint, "--address: %q is no loopback address, and this command serves nobody else", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return &ExitError{exitFailed, err}
	}
	// The client that is watched is net/http's, which complains here of the ORIGIN frames that it does not know.
	log.SetOutput(io.Discard)
	srv := &http.Server{
		Handler:           web.New(web.Options{Watch: watchMisdirected}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(namingListener{l, differentNames()}) }()
	fmt.Fprintf(s.stdout, "The guide: http://%s/\nCtrl-C ends it.\n", l.Addr())
	select {
	case err := <-ended:
		return &ExitError{exitFailed, err}
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return &ExitError{exitFailed, err}
	}
	return nil
}

// watchMisdirected starts a gateway of its own for one look, sends it the first requests of the demo, and says what they show.
func watchMisdirected(ctx context.Context) (steps []web.Step, err error) {
	d, err := demo.Start(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := d.Close(); err == nil {
			err = closed
		}
	}()
	exchanges, err := d.Run(ctx)
	if err != nil {
		return nil, err
	}
	notes := []string{
		"The connection is opened for this host, and its certificate covers it.",
		"Another host on the same connection. The certificate does not cover it: refused, and nothing has been done.",
		"The same request on a connection of its own, whose handshake brought the right certificate.",
	}
	for i, note := range notes {
		if i >= len(exchanges) {
			return nil, errors.New("the demo has lost its first requests")
		}
		e := &exchanges[i]
		if !e.OK {
			return nil, fmt.Errorf("%s on a connection for %s was answered %s", e.Authority, e.OpenedFor, e.Answer())
		}
		steps = append(steps, web.Step{
			Connection: e.Connection, OpenedFor: e.OpenedFor, Protocol: protocolName(e.Protocol), Method: e.Method,
			Authority: e.Authority, Path: e.Path, Status: e.Status, Reason: e.Reason, Note: note,
		})
	}
	return steps, nil
}

func (s *session) guideExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export DIR",
		Short: "Write the guide as files, for any web server",
		Long: `Write the guide as files into a folder, which is made if it is not there: index.html, a page for each code, and the JSON as
api/codes.json and api/codes/421.json. The pages work from a web server and from a disk. Files of an older export are replaced,
others are left alone, and where one of the same name is not the guide's nothing is written.`,
		Example: `  usher guide export site`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError("usher guide export site", "name one folder to write to")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := web.Export(args[0])
			if errors.Is(err, web.ErrForeign) {
				return &ExitError{exitFailed, &hinted{fmt.Errorf("%q: %w", args[0], err), "name another folder, or remove that file"}}
			}
			if err != nil {
				return &ExitError{exitFailed, err}
			}
			fmt.Fprintf(s.stdout, "%s in %s: open index.html\n", counted(n, "file", "files"), args[0])
			return nil
		},
	}
}
