package config

import (
	"path"
	"slices"
	"strings"
)

func (k *checker) checkRoutes(c *cursor, spec *SiteSpec) []Route {
	var routes []Route
	lines := map[string]int{}
	if spec.Upstream != nil {
		at := c.key("upstream")
		routes = append(routes, Route{Path: "/", Upstream: k.checkUpstream(at, spec.Upstream)})
		lines["/"] = at.place().Line
	}
	for i := range spec.Routes {
		at := c.key("routes").item(i)
		r := &spec.Routes[i]
		routes = append(routes, k.checkRoute(at, r))
		if first, taken := lines[r.Path]; taken && r.Path != "" {
			k.fail(at.key("path"), "", "path %q has a route already, in line %d", r.Path, first)
		}
		lines[r.Path] = at.key("path").place().Line
	}
	if len(routes) == 0 {
		k.fail(c.key("routes"), "add upstream: URL, or routes", "site %q has no routes: it would answer nothing", spec.Name)
	}
	slices.SortStableFunc(routes, func(a, b Route) int { return len(b.Path) - len(a.Path) })
	return routes
}

func (k *checker) checkRoute(c *cursor, spec *RouteSpec) Route {
	r := Route{Path: spec.Path}
	k.checkPath(c, spec.Path)
	k.oneAction(c, spec)
	if spec.Upstream != nil {
		r.Upstream = k.checkUpstream(c.key("upstream"), spec.Upstream)
	}
	if spec.Respond != nil {
		r.Respond = k.checkRespond(c.key("respond"), spec.Respond)
	}
	if spec.Files != "" {
		r.Files = k.checkFolder(c.key("files"), spec.Files)
	}
	if spec.Redirect != nil {
		r.Redirect = k.checkRedirect(c.key("redirect"), spec.Redirect)
	}
	r.Guide = spec.Guide
	return r
}

// checkPath refuses what no request's path could begin with, once it is decoded and cleaned.
func (k *checker) checkPath(c *cursor, p string) {
	at := c.key("path")
	if !k.needed(c, "path", p) {
		return
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	switch i := strings.IndexFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '?' || r == '#' || r == '%' }); {
	case p[0] != '/':
		k.fail(at, "write \"/"+p+"\"", "path %q does not begin with a slash", p)
	case i >= 0 && p[i] == '%':
		k.fail(at, "write the character itself: paths are compared after decoding", "path %q holds a percent sign", p)
	case i >= 0:
		k.fail(at, "a route is chosen by the path alone, without query and fragment", "path %q holds %q", p, p[i])
	case clean != p:
		k.fail(at, "write \""+clean+"\"", "path %q holds empty, . or .. segments", p)
	}
}

var actions = []string{"upstream", "respond", "files", "redirect", "guide"}

func (k *checker) oneAction(c *cursor, spec *RouteSpec) {
	has := map[string]bool{
		"upstream": spec.Upstream != nil, "respond": spec.Respond != nil, "files": spec.Files != "",
		"redirect": spec.Redirect != nil, "guide": spec.Guide,
	}
	var found []string
	for _, a := range actions {
		if has[a] {
			found = append(found, a)
		} else if at := c.key(a); at.present() && k.broken[at.place()] {
			return // it is there, and what is wrong with it is reported
		}
	}
	switch len(found) {
	case 0:
		k.fail(c, "add one of "+alternatives(actions[:4]), "the route says nothing about what to do")
	case 1:
	default:
		k.fail(c.key(found[1]), "make them two routes, or keep one", "a route has one action, not both %s and %s", found[0], found[1])
	}
}
