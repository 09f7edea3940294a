package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/usher-http/usher/authority"
)

// An address is where something listens.
type address struct {
	host string // canonical; empty: every address of the machine
	port uint16 // 0: the system chooses
}

// parseAddress reads [ host ] ":" port, where host is an IP address or a name, and IPv6 stands in brackets. The hint is for
// the error.
func parseAddress(s string) (a address, hint string, err error) {
	const form = "an address is written as :443, 127.0.0.1:8443 or [::1]:8443"
	if s == "" {
		return a, form, errors.New("address is missing")
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return a, "write \":" + s + "\"", fmt.Errorf("address %q has no colon before the port", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return a, form, fmt.Errorf("address %q: %s", s, plainAddress(err))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strings.HasPrefix(port, "+") {
		return a, form, fmt.Errorf("address %q: the port must be a number from 0 to 65535", s)
	}
	a.port = uint16(n)
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ip.IsUnspecified() {
			a.host = ip.Unmap().String()
		}
		return a, "", nil
	}
	if host == "" {
		return a, "", nil
	}
	name, err := authority.ParseHost(host)
	if err != nil {
		return a, form, fmt.Errorf("address %q: %q is no IP address", s, host)
	}
	a.host = name.Host()
	return a, "", nil
}

func plainAddress(err error) string {
	var e *net.AddrError
	if errors.As(err, &e) {
		return e.Err
	}
	return err.Error()
}

// clashes reports whether both cannot be bound at the same time on any system.
func (a address) clashes(b address) bool { return a == b && a.port != 0 }

// loopback reports whether the address is reached from this machine alone.
func (a address) loopback() bool {
	if a.host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}
