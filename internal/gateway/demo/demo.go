// Package demo is a gateway on this machine with a handful of sites, and a client that sends it the requests that show what
// it is for. Everything is real: the configuration is read from a file, the gateway binds sockets on loopback, and the
// client verifies certificates. Nothing needs a network, a privilege or a file that is there already.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	_ "embed"

	"github.com/usher-http/usher/internal/gateway"
	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/localca"
)

// The hosts of the cast. See demo.yaml for what they want.
const (
	shop   = "shop.localhost"  // shares a certificate with api, staff and pay
	api    = "api.localhost"   // the same
	staff  = "staff.localhost" // the same, and requires a client certificate
	pay    = "pay.localhost"   // the same, and wants connections of its own
	blog   = "blog.localhost"  // has a certificate of its own
	nobody = "nobody.localhost"
)

//go:embed demo.yaml
var configuration string

// A Demo is a running gateway with its cast. Make one with [Start] and end it with Close.
type Demo struct {
	Dir  string // temporary: configuration, certificates, keys. Close removes it
	TLS  string // address of the https listener, TCP and UDP
	HTTP string // address of the plaintext listener

	gateway *gateway.Gateway
	log     *journal
	roots   *localca.CA
	clients *localca.CA
}

// CheckAddress returns an error for an address that Start does not take: it wants an IP address of loopback and a port.
func CheckAddress(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no IP address with a port", address)
	}
	if !a.Addr().IsLoopback() {
		return fmt.Errorf("%q is no loopback address, and the demo serves nobody else", address)
	}
	return nil
}

// Start starts the gateway on a loopback address, such as 127.0.0.1:0.
func Start(ctx context.Context, address string) (_ *Demo, err error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(address)
	d := &Demo{log: newJournal()}
	if d.Dir, err = os.MkdirTemp("", "usher-demo-"); err != nil {
		return nil, err
	}
	if err := d.start(ctx, address, net.JoinHostPort(host, "0")); err != nil {
		os.RemoveAll(d.Dir)
		return nil, err
	}
	return d, nil
}

func (d *Demo) start(ctx context.Context, address, plain string) error {
	if err := d.certificates(); err != nil {
		return err
	}
	var text bytes.Buffer
	err := template.Must(template.New("").Parse(configuration)).Execute(&text, struct{ Address, Plain string }{address, plain})
	if err != nil {
		return err
	}
	path := d.Path("usher.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return err
	}
	l, err := config.Load(path, config.Options{})
	if err != nil {
		return err
	}
	if d.gateway, err = gateway.Start(ctx, l, gateway.Options{Log: d.log, Version: "demo"}); err != nil {
		return withoutPlace(err, path)
	}
	for _, a := range d.gateway.Addresses() {
		switch {
		case a.Listener == "plain":
			d.HTTP = a.Addr.String()
		case a.Network == "tcp":
			d.TLS = a.Addr.String()
		}
	}
	return nil
}

// withoutPlace takes FILE:LINE:COLUMN away: the file is gone when this is read.
func withoutPlace(err error, file string) error {
	place, text, found := strings.Cut(err.Error(), ": ")
	if !found || !strings.HasPrefix(place, file+":") {
		return err
	}
	return errors.New(text)
}

// Close ends the gateway and removes the folder.
func (d *Demo) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(d.gateway.Shutdown(ctx), os.RemoveAll(d.Dir))
}

// Failed is closed when the gateway has ended by itself.
func (d *Demo) Failed() <-chan struct{} { return d.gateway.Done() }

// Path returns the full name of a file of the demo: usher.yaml, ca.pem, client.pem, client.key.
func (d *Demo) Path(name string) string { return filepath.Join(d.Dir, name) }

// URL returns where a host is to be asked for.
func (d *Demo) URL(host, path string) string { return "https://" + d.authority(host) + path }

func (d *Demo) authority(host string) string {
	return net.JoinHostPort(host, d.TLS[strings.LastIndexByte(d.TLS, ':')+1:])
}
