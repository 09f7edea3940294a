package browsers

import "testing"

func TestProbe(t *testing.T) {
	turns := []step{get("pay"), get("www"), get("pay"), get("www"), get("pay"), get("www")}
	for _, c := range []struct {
		name string
		s    setting
		quic []string
		st   []step
		l    *liar
	}{
		{"pay", setting{"never", "h1, h2", false}, nil, []step{get("pay"), post("till"), get("img")}, nil},
		{"loners never", setting{"never", "h1, h2", true}, nil, turns, nil},
		{"loners auto", setting{"auto", "h1, h2", true}, nil, turns, nil},
		{"h3 altsvc", setting{"auto", "h1, h2, h3", false}, []string{"www:1", "pay:1"}, []step{warm("www"), get("www"), get("pay"), get("pay"), get("pay"), get("www")}, nil},
		{"h3 altsvc img", setting{"auto", "h1, h2, h3", false}, []string{"www:1", "img:1"}, []step{warm("www"), get("www"), get("img"), get("img"), get("img"), get("www")}, nil},
		{"liar", setting{}, nil, turns, &liar{refusal: 421, claims: []string{"www", "pay"}}},
		{"liar noframe", setting{}, nil, turns, &liar{refusal: 421}},
		{"liar 404", setting{}, nil, []step{get("pay"), get("www")}, &liar{refusal: 404}},
	} {
		for _, b := range witnesses {
			t.Run(c.name+" "+b.name, func(t *testing.T) {
				t.Parallel()
				p := newPage(c.st)
				if c.l != nil {
					l := &liar{refusal: c.l.refusal, claims: c.l.claims, page: p}
					l.start(t)
					saw := b.visit(t, l.ca, "https://www"+zone+":"+l.port+pagePath, p, nil)
					o := newOutcome(saw, l.finish())
					t.Logf("RES %s: %s %q", t.Name(), o.trace(), o.saw)
					return
				}
				g := serve(t, c.s, p.upstream(t))
				var quic []string
				for _, s := range c.quic {
					quic = append(quic, s[:3]+zone+":1")
				}
				saw := b.visit(t, g.ca, "https://www"+zone+":"+g.port+pagePath, p, quic)
				o := newOutcome(saw, g.finish(t))
				t.Logf("RES %s: %s %q", t.Name(), o.trace(), o.saw)
			})
		}
	}
}
