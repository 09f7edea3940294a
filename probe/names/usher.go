package names

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/usher-http/usher/authority"
)

// configuration is what is read of an usher.yaml: which hosts, and where.
type configuration struct {
	Listeners []struct {
		Name, Address, Scheme string
		PublicPorts           []string `yaml:"public_ports"`
	}
	Sites []struct {
		Hosts     []string
		Listeners []string
	}
}

// Usher reads the hosts of the sites of an usher.yaml. It is not checked otherwise: usher check does that.
func Usher(file string) (list List, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return list, err
	}
	var c configuration
	if err := yaml.Unmarshal(text, &c); err != nil {
		return list, fmt.Errorf("%s: %w", file, err)
	}
	for _, l := range c.Listeners {
		if len(l.PublicPorts) == 0 && l.Scheme != "http" && listenPort(l.Address) == "0" {
			return list, fmt.Errorf("%s: listener %q: the system chooses its port: name the hosts with it on the command line", file, l.Address)
		}
	}
	for _, site := range c.Sites {
		ports := c.ports(site.Listeners)
		for _, host := range site.Hosts {
			if strings.Contains(host, "*") {
				list.Skipped = append(list.Skipped, host)
				continue
			}
			if a, err := authority.Parse(host); err == nil && a.Port() != 0 { // narrowed to a port
				if port := strconv.Itoa(int(a.Port())); !c.plain(port) {
					list.add(a.Host(), port)
				}
				continue
			}
			for _, port := range ports {
				list.add(host, port)
			}
		}
	}
	return list, nil
}

// ports are where the listeners of that name, or all, serve https: the first public port, else the bound one.
func (c *configuration) ports(only []string) (list []string) {
	for _, l := range c.Listeners {
		name := l.Name
		if name == "" {
			name = l.Address
		}
		if l.Scheme == "http" || len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		if len(l.PublicPorts) > 0 {
			list = append(list, l.PublicPorts[0])
		} else {
			list = append(list, listenPort(l.Address))
		}
	}
	if len(c.Listeners) == 0 {
		return []string{"443"} // the default
	}
	return list
}

// plain reports whether a plaintext listener has the port.
func (c *configuration) plain(port string) bool {
	for _, l := range c.Listeners {
		if l.Scheme == "http" && (listenPort(l.Address) == port || slices.Contains(l.PublicPorts, port)) {
			return true
		}
	}
	return len(c.Listeners) == 0 && port == "80" // the default
}
