package browsers

import "testing"

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name string
		s    setting
		quic []string
		st   []step
	}{
		{"shared", setting{"auto", "h1, h2"}, nil, []step{get("img"), post("img"), get("img")}},
		{"pay never", setting{"never", "h1, h2"}, nil, []step{get("pay"), get("pay"), get("img"), get("www"), get("pay")}},
		{"pay post never", setting{"never", "h1, h2"}, nil, []step{post("pay")}},
		{"pay auto", setting{"auto", "h1, h2"}, nil, []step{get("pay"), get("pay"), get("img"), get("www"), get("pay")}},
		{"members never", setting{"never", "h1, h2"}, nil, []step{get("members"), post("members")}},
		{"members auto", setting{"auto", "h1, h2"}, nil, []step{get("members"), post("members")}},
		{"staff never", setting{"never", "h1, h2"}, nil, []step{get("staff"), get("img")}},
		{"staff auto", setting{"auto", "h1, h2"}, nil, []step{get("staff"), get("img")}},
		{"h3 www img", setting{"auto", "h1, h2, h3"}, []string{"www", "img"}, []step{warm("www"), get("www"), get("img"), warm("img"), get("img")}},
		{"h3 www", setting{"auto", "h1, h2, h3"}, []string{"www"}, []step{warm("www"), get("www"), get("img"), get("pay")}},
		{"h3 www pay", setting{"auto", "h1, h2, h3"}, []string{"www", "pay"}, []step{warm("www"), get("www"), get("pay"), warm("pay"), get("pay"), get("www")}},
	} {
		for _, b := range witnesses {
			t.Run(c.name+" "+b.name, func(t *testing.T) {
				t.Parallel()
				p := newPage(c.st)
				g := serve(t, c.s, p.upstream(t))
				var quic []string
				for _, s := range c.quic {
					quic = append(quic, s+zone+":"+g.port)
				}
				saw := b.visit(t, g.ca, "https://www"+zone+":"+g.port+pagePath, p, quic)
				o := newOutcome(saw, g.finish(t))
				t.Logf("%s\n%q", o.trace(), o.saw)
			})
		}
	}
}
