package benchproxy

import "strconv"

const (
	hostA = "a.test" // the site that everything is asked of
	hostB = "b.test" // a site with a certificate of its own: 421 over a connection for hostA
)

// Contents. The upstream's answers and those of the contenders themselves are equally long for everybody.
const (
	smallBody  = "hello from the upstream of this benchmark\n"
	fixedBody  = "hello\n"
	largeBytes = 64 << 10
	elsewhere  = "https://elsewhere.test/"
)

// A work is one load. All but the lone request and the handshakes come from 32 connections.
type work struct {
	name, title string

	path           string
	status         int
	body           int // bytes of content of an answer; -1 is not looked at, because it is the contender's own words
	conns, streams int
	each           int      // requests of a connection, in as many runs of h2load as it takes; 0: as many as the time allows
	args           []string // more of h2load
	post           bool     // with largeBytes of content
	misdirected    bool     // for hostB, over a connection for hostA
	http1          bool
}

var works = []work{
	{name: "get10", title: "proxied small GET, 10 streams", path: "/", status: 200, body: len(smallBody), conns: 32, streams: 10},
	{name: "fields", title: "the same with a browser's 14 fields", path: "/", status: 200, body: len(smallBody), conns: 32, streams: 10, args: browserFields()},
	{name: "get1", title: "proxied small GET, 1 stream", path: "/", status: 200, body: len(smallBody), conns: 32, streams: 1},
	{name: "handshakes", title: "the same, 320 connections with 20 requests each", path: "/", status: 200, body: len(smallBody), conns: 320, streams: 1, each: 20},
	{name: "fixed", title: "fixed answer, 10 streams", path: "/fixed", status: 200, body: len(fixedBody), conns: 32, streams: 10},
	{name: "redirect", title: "redirect, 10 streams", path: "/moved", status: 308, body: -1, conns: 32, streams: 10},
	{name: "421", title: "421, 10 streams", path: "/", status: 421, body: -1, conns: 32, streams: 10, misdirected: true},
	{name: "down64", title: "64 KiB response, 10 streams", path: "/large", status: 200, body: largeBytes, conns: 32, streams: 10},
	{name: "up64", title: "64 KiB POST, 10 streams", path: "/", status: 200, body: len(smallBody), conns: 32, streams: 10, post: true},
	{name: "lone", title: "one lone request at a time", path: "/", status: 200, body: len(smallBody), conns: 1, streams: 1},
	{name: "h1", title: "HTTP/1.1 keep-alive, proxied", path: "/", status: 200, body: len(smallBody), conns: 32, streams: 1, http1: true},
}

// idleWork is the name of what has no load: memory of idle connections.
const idleWork = "idle"

func workNames() []string {
	var names []string
	for _, w := range works {
		names = append(names, w.name)
	}
	return append(names, idleWork)
}

// browserFields is what Chromium sends with a navigation, and a cookie: 14 fields beside the pseudo-header fields.
func browserFields() (args []string) {
	for _, f := range []string{
		`user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36`,
		`sec-ch-ua: "Chromium";v="156", "Not)A;Brand";v="24"`,
		`sec-ch-ua-mobile: ?0`,
		`sec-ch-ua-platform: "Linux"`,
		`upgrade-insecure-requests: 1`,
		`accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8`,
		`sec-fetch-site: same-origin`,
		`sec-fetch-mode: navigate`,
		`sec-fetch-user: ?1`,
		`sec-fetch-dest: document`,
		`referer: https://a.test/catalogue/shoes?page=2`,
		`accept-language: en-GB,en;q=0.9`,
		`cookie: session=c2Vzc2lvbi1vZi1hLXZpc2l0b3ItMDEyMzQ1Njc4OQ; theme=dark; consent=1`,
		`priority: u=0, i`,
	} {
		args = append(args, "-H", f)
	}
	return args
}

// command is h2load's command line without the requests' number or the duration, and without what only tells files and ports.
func (w work) command(threads int) []string {
	args := []string{"-c", strconv.Itoa(w.conns), "-m", strconv.Itoa(w.streams), "-t", strconv.Itoa(min(threads, w.conns))}
	if w.http1 {
		args = append(args, "--h1")
	}
	if w.misdirected {
		args = append(args, "-H", ":authority: "+hostB)
	}
	return append(append(args, w.args...), "https://"+hostA+w.path)
}
