package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/usher-http/usher/probe/wire"
)

// Options say how a run goes about. The zero value is ready.
type Options struct {
	Protocols   []wire.Protocol  // none: all three
	Connect     []ConnectTo      // where to connect instead
	Roots       *x509.CertPool   // whom to trust; nil: the system's
	Certificate *tls.Certificate // a client certificate, for sites that ask for one
	FromCert    bool             // probe the names of each certificate that is met, too: MostFromCert of them at the most
	Path        string           // that is asked for; empty: /
	Head        bool             // ask with HEAD instead of GET
	UserAgent   string           // empty: usher-probe
	Server      string           // whose cures are wanted: nginx, apache, haproxy, caddy, envoy, traefik, go; empty: told by the Server field

	Concurrency int         // connections to one address at a time; 0: 1
	TargetRate  float64     // requests a second to one address; 0: 20; below 0: no limit
	Rate        float64     // requests a second in all; 0: no limit
	Parallel    int         // addresses that are probed at a time; 0: 32
	MaxPairs    int         // pairs of hosts that are tried over one protocol; 0: 1000
	Limits      wire.Limits // of each step

	// Resolve looks a name up; nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Progress is told how far a part of the run is. It is called by one goroutine at a time. nil: nobody asks.
	Progress func(part string, done, all int)
}

func (o *Options) withDefaults() Options {
	d := *o
	if len(d.Protocols) == 0 {
		d.Protocols = []wire.Protocol{wire.H1, wire.H2, wire.H3}
	}
	d.Path = or(d.Path, "/")
	d.UserAgent = or(d.UserAgent, "usher-probe (+https://github.com/usher-http/usher)")
	d.Concurrency = max(d.Concurrency, 1)
	if d.TargetRate == 0 {
		d.TargetRate = 20
	}
	if d.Parallel <= 0 {
		d.Parallel = 32
	}
	if d.MaxPairs <= 0 {
		d.MaxPairs = 1000
	}
	if d.Resolve == nil {
		d.Resolve = resolve
	}
	if d.Progress == nil {
		d.Progress = func(string, int, int) {}
	}
	return d
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// resolveTime bounds one look-up.
const resolveTime = 5 * time.Second

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if strings.HasSuffix(host, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil // RFC 6761 section 6.3, as curl and browsers do
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (o *Options) method() string {
	if o.Head {
		return "HEAD"
	}
	return "GET"
}
