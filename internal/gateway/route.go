package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/usher-http/usher/internal/gateway/config"
	"github.com/usher-http/usher/internal/message"
)

// routes are what a site does with its requests.
//
// A route's path stands for itself and for everything below it, by whole segments: /api takes /api, /api/ and /api/x,
// but not /apix, and so does /api/. The longest path wins. Paths are compared decoded, with repeated slashes as one;
// what is passed on to upstreams is the path as the client wrote it. Paths with dot segments are refused, whichever way
// they are written: clients resolve them before they send a request, and whoever does not wants two programs to read
// one path differently.
type routes struct {
	list []*route // longest path first
}

type route struct {
	path   string
	action action
}

// An action answers a request that was admitted and routed.
type action interface {
	serve(x *exchange, at *route)
	// waits says that it may wait for a disk or a server. What does not is answered where it was read.
	waits() bool
}

func newRoutes(from []config.Route, t config.Timeouts) (*routes, error) {
	rs := new(routes)
	for _, in := range from {
		rt := &route{path: in.Path}
		var err error
		switch {
		case in.Upstream != nil:
			rt.action = newUpstream(in.Upstream, t)
		case in.Respond != nil:
			rt.action = newRespond(in.Respond)
		case in.Redirect != nil:
			rt.action = &redirect{*in.Redirect}
		case in.Files != "":
			rt.action, err = newFiles(in.Files)
		case in.Guide:
			rt.action = newGuide(in.Path)
		default:
			err = fmt.Errorf("route %q has no action", in.Path)
		}
		if err != nil {
			return nil, err
		}
		rs.list = append(rs.list, rt)
	}
	slices.SortStableFunc(rs.list, func(a, b *route) int { return len(b.path) - len(a.path) })
	return rs, nil
}

// find returns the route for a path that cleanPath has returned; nil: there is none.
func (rs *routes) find(path string) *route {
	var folder *route // matches only because a slash is missing at the end of path
	for _, rt := range rs.list {
		if folder != nil && len(rt.path) < len(path) {
			break
		}
		if rt.takes(path) {
			return rt
		}
		if folder == nil && len(rt.path) == len(path)+1 && rt.path == path+"/" {
			folder = rt
		}
	}
	return folder
}

func (rt *route) takes(path string) bool {
	rest, ok := strings.CutPrefix(path, rt.path)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(rt.path, "/"))
}

// below returns what is left of the path behind the route's own, without a slash in front.
func (rt *route) below(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, strings.TrimSuffix(rt.path, "/")), "/")
}

// retire lets go of upstream connections that nobody will ask for again.
func (rs *routes) retire() {
	for _, rt := range rs.list {
		if u, ok := rt.action.(*upstream); ok {
			u.retire()
		}
	}
}

// cleanPath returns the path by which a request for the target is routed; ok is false where it must not be served.
func cleanPath(target string) (path string, ok bool) {
	path, _, _ = strings.Cut(target, "?")
	if path == "" || path[0] != '/' || strings.IndexByte(target, '#') >= 0 || !message.ValidTarget(target) {
		return "", false
	}
	if strings.IndexByte(path, '%') >= 0 {
		var err error
		if path, err = url.PathUnescape(path); err != nil {
			return "", false
		}
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") && strings.IndexByte(path, '\\') < 0 {
		return path, true
	}
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		// "..;x" is a dot segment to servers that cut off path parameters.
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return "", false
		}
	}
	var b strings.Builder
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b.WriteByte(path[i])
		}
	}
	return b.String(), true
}
