package gateway

import (
	"crypto/tls"
	"fmt"

	"github.com/usher-http/usher"
	"github.com/usher-http/usher/internal/gateway/config"
)

// Compile turns a configuration into the guard's: sites with their policies, listeners with the ports that clients may
// name (the public ones first, then the one of the address), trusted gateways. The Value of each site holds its routes,
// so that policy and routes always come from one table.
//
// issue is called once for each site with `issuer: local`, with its hosts without ports and without the catch-all, and
// returns a certificate for all of them. Nothing else of the machine is changed; folders of `files` routes are opened.
func Compile(l *config.Loaded, issue func(hosts []string) (tls.Certificate, error)) (usher.Config, error) {
	c := usher.Config{DefaultSite: l.DefaultSite, Mode: l.Mode, UnknownHost: 421}
	if l.UnknownNotFound {
		c.UnknownHost = 404
	}
	for _, in := range l.Listeners {
		c.Listeners = append(c.Listeners, usher.Listener{
			Name:            in.Name,
			Scheme:          in.Scheme.String(),
			Ports:           in.Ports(in.Port),
			TrustedGateways: in.TrustedGateways,
			OriginFrame:     in.OriginFrame,
		})
	}
	for _, in := range l.Sites {
		s, err := compileSite(in, l.Timeouts, issue)
		if err != nil {
			return usher.Config{}, fmt.Errorf("%s:%d:%d: site %q: %w", l.Path, in.Line, in.Column, in.Name, err)
		}
		c.Sites = append(c.Sites, s)
	}
	return c, nil
}

func compileSite(in *config.Site, t config.Timeouts, issue func([]string) (tls.Certificate, error)) (usher.Site, error) {
	s := usher.Site{
		Name:           in.Name,
		Listeners:      in.Listeners,
		Certificates:   in.Certificates,
		ClientAuth:     in.ClientAuth,
		ClientCAs:      in.ClientCAs,
		MinVersion:     in.MinVersion,
		OwnConnections: in.OwnConnections,
		PlainHTTP:      in.PlainHTTP,
	}
	for _, p := range in.Patterns {
		s.Hosts = append(s.Hosts, p.String())
	}
	if in.Issuer == config.Local {
		cert, err := issue(issuedHosts(in))
		if err != nil {
			return s, err
		}
		s.Certificates = []tls.Certificate{cert}
	}
	routes, err := newRoutes(in.Routes, t)
	if err != nil {
		return s, err
	}
	s.Value = routes
	return s, nil
}

// issuedHosts are the hosts that a certificate is issued for: ports do not matter there, and the catch-all is no name.
func issuedHosts(s *config.Site) []string {
	var hosts []string
	for _, p := range s.Patterns {
		switch {
		case p.IsCatchAll():
		case p.IsWildcard():
			hosts = append(hosts, "*."+p.Authority().Host())
		default:
			hosts = append(hosts, p.Authority().Host())
		}
	}
	return hosts
}
