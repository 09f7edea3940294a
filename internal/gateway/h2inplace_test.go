package gateway

import (
	"io"
	"net/http"
	"slices"
	"testing"
)

// Everything that a read brings and that needs no waiting is answered in one write.
func TestH2AnswersInPlace(t *testing.T) {
	d := drive(t, mixed("http://"+deadAddress(t)))
	c := d.wire(t)
	c.want(c.get("/fixed"), "200", "fixed\n")
	c.ping() // the client's acknowledgement has come too
	c.mu.Lock()
	before := c.records
	c.mu.Unlock()
	tests := []struct {
		method, host, path     string
		status, text, location string
	}{
		{"GET", "a.test.example", "/fixed", "200", "fixed\n", ""},
		{"HEAD", "a.test.example", "/fixed", "200", "", ""},
		{"GET", "a.test.example", "/moved", "308", "", "https://elsewhere.example/"},
		{"GET", "b.test.example", "/none", "404", "404 Not Found\n", ""},
		{"GET", "own.test.example", "/", "421", "connection", ""},
		{"OPTIONS", "a.test.example", "*", "200", "", ""},
		{"GET", "a.test.example", "/fixed/../x", "400", "400 Bad Request\n", ""},
	}
	var ids []uint32
	for _, test := range tests {
		ids = append(ids, c.askFor(true, test.method, test.host, test.path))
	}
	c.flush()
	for i, test := range tests {
		h := c.want(ids[i], test.status, test.text)
		if test.text == "" && len(h.body) > 0 {
			t.Errorf("%+v: content %q", test, h.body)
		}
		if got := h.value("location"); got != test.location {
			t.Errorf("%+v: location %q", test, got)
		}
		if test.method == "HEAD" && h.value("content-length") != "6" {
			t.Errorf("%+v: content-length %q", test, h.value("content-length"))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.records - before; n != 1 {
		t.Errorf("%d answers came in %d records, want one", len(tests), n)
	}
}

// An answer that needs no waiting does not wait for one that does.
func TestH2InPlaceBesideAStreamThatWaits(t *testing.T) {
	asked, let := make(chan struct{}, 1), make(chan struct{})
	up := newUpstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-let
		io.WriteString(w, "late")
	})
	d := drive(t, mixed(up.URL))
	c := d.wire(t)
	first, second := c.ask(true, "GET", "/"), c.ask(true, "GET", "/fixed")
	c.flush()
	c.want(second, "200", "fixed\n")
	wait(t, "the request", asked)
	c.want(c.get("/moved"), "308", "")
	if h := c.seen(first); h.status != "" {
		t.Errorf("the upstream has not answered, and the client has %v", h.status)
	}
	close(let)
	c.want(first, "200", "late")
}

// RFC 8336 section 2.2: "The ORIGIN frame MUST be sent on stream 0". It stands right behind SETTINGS, so that the client knows it
// before it can have anything else.
func TestH2OriginBehindSettings(t *testing.T) {
	d := drive(t, basic)
	c := d.wire(t)
	c.want(c.get("/"), "200", "site a\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := []string{"SETTINGS 0", "ORIGIN 0"}; !slices.Equal(c.order[:2], want) {
		t.Errorf("frames %v, want %v first", c.order, want)
	}
}
