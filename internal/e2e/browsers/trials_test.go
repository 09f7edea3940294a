package browsers

import (
	"strings"
	"testing"
)

// A trial is a visit that each browser makes.
type trial struct {
	name    string // as in docs/browsers.md
	setting setting
	liar    *liar    // serves instead of a gateway
	client  bool     // the browser has a client certificate and sends it without asking anybody; a setting of Firefox
	quic    []string // sites that Chromium reaches over HTTP/3 and nothing else
	steps   []step
	want    map[string]want // by the name of the browser; one that is not in it makes no visit
}

// A want is what must come of a visit.
type want struct {
	connections  int // 0: it depends on when a connection is ready
	misdirected  int
	page         string // the statuses that the page sees, one for each step that is not a warm-up
	refusedSites string // the sites of the 421s, in their order
}

// both is for trials in which the browsers do the same.
func both(w want) map[string]want { return map[string]want{"Chromium": w, "Firefox": w} }

var inTurn = []step{get("pay"), get("www"), get("pay"), get("www"), get("pay"), get("www")}

func trials() []trial {
	return []trial{{
		name:    "a shared certificate",
		setting: frames,
		steps:   []step{get("img"), post("img"), get("img")},
		want:    both(want{1, 0, "200, 200 (POST), 200", ""}),
	}, {
		name:    "`coalesce: false`, no ORIGIN",
		setting: silent,
		steps:   []step{get("pay"), get("pay"), get("img")},
		want:    map[string]want{"Chromium": {2, 1, "200, 200, 200", "pay"}, "Firefox": {3, 1, "200, 200, 200", "pay"}},
	}, {
		name:    "`coalesce: false`, POST, no ORIGIN",
		setting: silent,
		steps:   []step{post("pay"), post("till"), post("pay")},
		want: map[string]want{"Chromium": {3, 2, "200 (POST), 200 (POST), 200 (POST)", "pay till"},
			"Firefox": {4, 2, "200 (POST), 200 (POST), 200 (POST)", "pay pay"}},
	}, {
		name:    "`client_auth: optional`, no ORIGIN",
		setting: silent,
		steps:   []step{get("members")},
		want:    both(want{2, 1, "200", "members"}),
	}, {
		name:    "`client_auth: optional`, POST, no ORIGIN",
		setting: silent,
		steps:   []step{post("members"), get("members")},
		want:    map[string]want{"Chromium": {2, 1, "200 (POST), 200", "members"}, "Firefox": {3, 1, "200 (POST), 200", "members"}},
	}, {
		name:    "`client_auth: require` without a client certificate, no ORIGIN",
		setting: silent,
		steps:   []step{get("staff"), get("img")},
		want:    map[string]want{"Chromium": {1, 1, "error, 200", "staff"}, "Firefox": {2, 1, "error, 200", "staff"}},
	}, {
		name:    "`client_auth: require` with a client certificate, no ORIGIN",
		setting: silent,
		client:  true,
		steps:   []step{get("staff"), post("staff"), get("img")},
		want:    map[string]want{"Firefox": {4, 1, "200, 200 (POST), 200", "staff"}},
	}, {
		name:    "`coalesce: false`, ORIGIN",
		setting: frames,
		steps:   []step{get("pay"), post("pay"), get("img")},
		want:    map[string]want{"Chromium": {2, 1, "200, 200 (POST), 200", "pay"}, "Firefox": {2, 0, "200, 200 (POST), 200", ""}},
	}, {
		name:    "`client_auth: optional`, ORIGIN",
		setting: frames,
		steps:   []step{post("members"), get("members"), get("img")},
		want:    map[string]want{"Chromium": {2, 1, "200 (POST), 200, 200", "members"}, "Firefox": {2, 0, "200 (POST), 200, 200", ""}},
	}, {
		name:    "`client_auth: require` without a client certificate, ORIGIN",
		setting: frames,
		steps:   []step{get("staff"), get("img")},
		want:    map[string]want{"Chromium": {1, 1, "error, 200", "staff"}, "Firefox": {1, 0, "error, 200", ""}},
	}, {
		name:    "`client_auth: require` with a client certificate, ORIGIN",
		setting: frames,
		client:  true,
		steps:   []step{post("staff"), get("staff"), get("img")},
		want:    map[string]want{"Firefox": {2, 0, "200 (POST), 200, 200", ""}},
	}, {
		name:    "two `coalesce: false` in turn, no ORIGIN",
		setting: loners(silent),
		steps:   inTurn,
		want: map[string]want{"Chromium": {2, 1, "200, 200, 200, 200, 200, 200", "pay"},
			"Firefox": {7, 3, "200, 200, 200, 200, 200, 200", "pay pay pay"}},
	}, {
		name:    "two `coalesce: false` in turn, ORIGIN",
		setting: loners(frames),
		steps:   inTurn,
		want: map[string]want{"Chromium": {2, 1, "200, 200, 200, 200, 200, 200", "pay"},
			"Firefox": {2, 0, "200, 200, 200, 200, 200, 200", ""}},
	}, {
		name:  "not Usher: ORIGIN lists what is then refused",
		liar:  &liar{refusal: 421, claims: []string{"www", "pay"}},
		steps: inTurn,
		want: map[string]want{"Chromium": {2, 1, "200, 200, 200, 200, 200, 200", "pay"},
			"Firefox": {7, 3, "200, 200, 200, 200, 200, 200", "pay pay pay"}},
	}, {
		name:  "not Usher: 404 instead of 421",
		liar:  &liar{refusal: 404},
		steps: []step{get("pay"), get("www")},
		want:  both(want{1, 0, "404, 200", ""}),
	}, {
		name:    "HTTP/3 by Alt-Svc, a shared certificate",
		setting: quick,
		steps:   []step{warm("www"), get("www"), get("img"), get("img")},
		want:    both(want{2, 0, "200, 200, 200", ""}),
	}, {
		name:    "HTTP/3 by Alt-Svc, `coalesce: false`",
		setting: quick,
		steps:   []step{warm("www"), get("www"), get("pay"), get("pay"), get("pay")},
		want: map[string]want{"Chromium": {3, 3, "200, 200, 200, 200", "pay pay pay"},
			"Firefox": {0, 1, "200, 200, 200, 200", "pay"}},
	}, {
		name:    "HTTP/3 and nothing else, `coalesce: false`",
		setting: quick,
		quic:    []string{"www", "pay"},
		steps:   []step{get("www"), get("pay"), get("www")},
		want:    map[string]want{"Chromium": {1, 2, "200, error, 200", "pay pay"}},
	}}
}

// run makes the visit. Every visit has a new browser and a new server.
func (c trial) run(t testing.TB, b browser) outcome {
	t.Helper()
	p := newPage(c.steps)
	if c.liar != nil {
		l := &liar{refusal: c.liar.refusal, claims: c.liar.claims, page: p}
		l.start(t)
		saw := b.visit(t, memory{ca: l.ca}, l.port, p)
		return newOutcome(saw, l.finish())
	}
	g := serve(t, c.setting, p.upstream(t))
	m := memory{ca: g.ca, quic: c.forced(g.port)}
	if c.client {
		alice := g.staff.Client(t, "alice")
		m.client = &alice
	}
	saw := b.visit(t, m, g.port, p)
	return newOutcome(saw, g.finish(t))
}

// forced are the authorities of the sites that Chromium must reach over HTTP/3. A port that nobody uses forces nothing,
// and still has Chromium believe Alt-Svc.
func (c trial) forced(port string) []string {
	var list []string
	for _, s := range c.quic {
		list = append(list, s+zone+":"+port)
	}
	for _, s := range sites {
		list = append(list, s+zone+":1")
	}
	return list
}

// check compares an outcome with what is wanted.
func (c trial) check(t testing.TB, b browser, o outcome) {
	t.Helper()
	w := c.want[b.name]
	if n := o.connections(); w.connections != 0 && n != w.connections {
		t.Errorf("%d connections, want %d", n, w.connections)
	}
	if n := o.misdirected(); n != w.misdirected {
		t.Errorf("%d misdirected requests, want %d", n, w.misdirected)
	}
	if got := o.refusedSites(); got != w.refusedSites {
		t.Errorf("421 for %q, want %q", got, w.refusedSites)
	}
	if got := o.page(); got != w.page {
		t.Errorf("the page saw %s, want %s", got, w.page)
	}
	c.checkWords(t, o)
	if t.Failed() {
		t.Logf("on the wire: %s\nthe page saw: %q", o.trace(), o.saw)
	}
}

// checkWords: each answer is the one to its own request, with its body, and warming up led to HTTP/3.
func (c trial) checkWords(t testing.TB, o outcome) {
	t.Helper()
	if len(o.saw) != len(c.steps) {
		t.Fatalf("the page saw %q in %d steps", o.saw, len(c.steps))
	}
	for i, s := range c.steps {
		expected := " " + answer(s.Method, s.Site, map[string]string{"POST": question}[s.Method])
		if s.Warm {
			expected = " h3"
		}
		if status, _, ok := strings.Cut(o.saw[i], " "); ok && o.saw[i] != status+expected {
			t.Errorf("step %d: the page saw %q, want %q", i+1, o.saw[i], status+expected)
		}
	}
}
