package probe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/usher-http/usher/probe/wire"
)

// long is a page of n words, with a few of its own.
func long(n int, own ...string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "word%d ", i)
	}
	return b.String() + strings.Join(own, " ")
}

func TestLike(t *testing.T) {
	for _, test := range []struct {
		name string
		base Baseline
		x    wire.Answer
		want Likeness
	}{
		{"the same", twice(page(200, "a page")), page(200, "a page"), Same},
		{"both empty", twice(page(204, "")), page(204, ""), Same},
		{"HEAD of another length", twice(page(200, "", "content-length", "5")), page(200, "", "content-length", "6"), Different},
		{"HEAD with another tag", twice(page(200, "", "etag", `"a"`)), page(200, "", "etag", `"b"`), Different},
		{"HEAD alike", twice(page(200, "", "content-length", "5")), page(200, "", "content-length", "5"), Same},
		{"another status", twice(page(200, "a page")), page(404, "a page"), Different},
		{"another type", twice(page(200, "a page", "content-type", "text/html")), page(200, "a page", "content-type", "text/plain"), Different},
		{"another charset", twice(page(200, "a page", "content-type", "text/html; charset=utf-8")), page(200, "a page", "content-type", "Text/HTML"), Same},
		{"another redirect", twice(page(301, "", "location", "https://a.test/")), page(301, "", "location", "https://b.test/"), Different},
		{"a redirect with a token", twice(page(302, "", "location", "https://a.test/in?x=1")), page(302, "", "location", "https://A.test/in?x=2"), Same},
		{"a short page with another word", twice(page(200, "this is one")), page(200, "this is two"), Different},
		{"a page with one other word of four", twice(page(200, "this page is one")), page(200, "this page is two"), Different},
		{"a long page with another time", twice(page(200, long(200, "12:00:01"))), page(200, long(200, "12:00:02")), Same},
		{"a page between", twice(page(200, long(200))), page(200, long(172)), Unsure},
		{"a dynamic page", Baseline{page(200, long(50, "a", "b", "c", "d")), page(200, long(50, "e", "f", "g", "h"))}, page(200, long(50, "i", "j", "k", "l")), Same},
		{"another page than a dynamic one", Baseline{page(200, long(50, "a")), page(200, long(50, "b"))}, page(200, "nothing alike at all"), Different},
		{"a page that is never the same", Baseline{page(200, "a b c d"), page(200, "e f g h")}, page(200, "i j k l"), Unsure},
		{"no answer", twice(page(200, "a page")), wire.Answer{Failure: wire.Reset}, Different},
		{"no baseline", nil, page(200, "a page"), Different},
	} {
		if got := test.base.Like(&test.x); got != test.want {
			t.Errorf("%s: %d, want %d (similar %.2f, noise %.2f)", test.name, got, test.want, similar(firstBody(test.base), test.x.Body), test.base.noise())
		}
	}
}

func firstBody(b Baseline) []byte {
	if len(b) == 0 {
		return nil
	}
	return b[0].Body
}

func TestSimilarIsSymmetric(t *testing.T) {
	texts := []string{"", "a", "a b", "b a", "a a a b", long(10), "<p>a</p>"}
	for _, x := range texts {
		for _, y := range texts {
			a, b := similar([]byte(x), []byte(y)), similar([]byte(y), []byte(x))
			if a != b || a < 0 || a > 1 || x == y && a != 1 {
				t.Errorf("%q, %q: %f and %f", x, y, a, b)
			}
		}
	}
}
