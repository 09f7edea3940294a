package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/usher-http/usher/authority"
	"github.com/usher-http/usher/internal/gateway"
	"github.com/usher-http/usher/internal/gateway/config"
)

func (s *session) serve() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway with a configuration file until it is told to end.

SIGHUP reads the file again: all of it counts or, where something is wrong, none of it. SIGTERM and SIGINT end the
gateway: requests that have begun are answered within timeouts.drain; a second signal ends it at once.

Exit code: 0 a clean end; 1 requests were cut, or a listener failed; 2 it could not start.`,
		Example: `  usher serve
  usher serve -c /etc/usher/usher.yaml`,
		Args: noArgs,
	}
	file := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return s.runGateway(c.Context(), *file) }
	return c
}

func (s *session) runGateway(ctx context.Context, file string) error {
	l, err := load(file)
	if err != nil {
		return err
	}
	printHazards(s.stderr, s.paint(s.stderr), "warning:", l.Hazards, false, "usher check --all names them")
	// From here on no signal is lost: one that comes during the start counts after it.
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	g, err := gateway.Start(ctx, l, gateway.Options{Version: moduleVersion(), Stderr: s.stderr})
	if err != nil {
		return &ExitError{exitInvalid, err} // nothing is half started
	}
	s.printListeners(l, g)
	for {
		select {
		case <-reload:
			l = s.reload(g, file, l)
		case <-g.Done():
			// A listener failed: the others end in good order too.
			return s.drain(ctx, g, l, stop, g.Err())
		case <-ctx.Done():
			return s.drain(context.Background(), g, l, stop, nil)
		case <-stop:
			return s.drain(ctx, g, l, stop, nil)
		}
	}
}

// reload returns the configuration that is served afterwards.
func (s *session) reload(g *gateway.Gateway, file string, old *config.Loaded) *config.Loaded {
	l, err := load(file)
	if err != nil {
		g.ReloadFailed(err)
	} else {
		printHazards(s.stderr, s.paint(s.stderr), "warning:", l.Hazards, false, "usher check --all names them")
		err = g.Reload(l)
	}
	if err != nil {
		s.report(err)
		fmt.Fprintf(s.stderr, "usher: %s was not loaded; the old configuration stays\n", file)
		return old
	}
	fmt.Fprintf(s.stderr, "usher: loaded %s again\n", file)
	s.printListeners(l, g)
	return l
}

// drain ends the gateway; cause is why it ended by itself, if it did.
func (s *session) drain(ctx context.Context, g *gateway.Gateway, l *config.Loaded, stop chan os.Signal, cause error) error {
	g.NotReady() // before anybody is told
	fmt.Fprintf(s.stderr, "usher: ending; requests that have begun get %s, a second signal ends at once\n", l.Timeouts.Drain)
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	ended := make(chan struct{})
	go func() {
		select {
		case <-stop:
			cut()
			signal.Stop(stop) // a third one ends the process, whatever it does
		case <-ended:
		}
	}()
	err := errors.Join(cause, g.Shutdown(ctx))
	close(ended)
	if err != nil {
		return &ExitError{exitFailed, err}
	}
	fmt.Fprintln(s.stderr, "usher: ended")
	return nil
}

// printListeners writes one line for each listener: where it is and what it serves.
func (s *session) printListeners(l *config.Loaded, g *gateway.Gateway) {
	paint := s.paint(s.stderr)
	bound := map[string]string{}
	for _, a := range g.Addresses() {
		if bound[a.Listener] == "" {
			bound[a.Listener] = a.Addr.String()
		}
	}
	for _, in := range l.Listeners {
		name := ""
		if in.Name != in.Address {
			name = fmt.Sprintf(" %q", in.Name)
		}
		fmt.Fprintf(s.stderr, "usher: serving %s%s: %s\n", paint.bold(in.Scheme.String()+"://"+bound[in.Name]), name, listenerWords(l, in))
	}
	if a := g.AdminAddress(); a != nil {
		fmt.Fprintf(s.stderr, "usher: serving %s: health and metrics\n", paint.bold("http://"+a.String()))
	}
	if l.Mode == authority.Observe {
		fmt.Fprintf(s.stderr, "usher: %s: nothing is refused for its certificate, TLS version or coalesce: false\n", paint.warn("mode observe"))
	}
}

func listenerWords(l *config.Loaded, in *config.Listener) string {
	var names []string
	for _, site := range l.Sites {
		if site.On(in.Name) && (in.Scheme == authority.HTTPS || site.PlainHTTP) {
			names = append(names, site.Name)
		}
	}
	var protocols []string
	for _, p := range protocolsOf(in) {
		protocols = append(protocols, protocolName(p))
	}
	words := strings.Join(protocols, ", ")
	switch {
	case len(names) > 0:
		words += fmt.Sprintf(" for %s (%s)", counted(len(names), "site", "sites"), some(names, mostNames))
	case in.Scheme == authority.HTTP:
		words += ", redirects to https"
	default:
		words += ", no sites"
	}
	if in.Scheme == authority.HTTP && len(names) > 0 && len(names) < len(l.Sites) {
		words += ", redirects the others to https"
	}
	return words
}
