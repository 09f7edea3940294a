package demo

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRun plays the whole script: every answer is the expected one, each protocol and every reason of the decision that a
// client of loopback can meet is in it, and nothing is left behind.
func TestRun(t *testing.T) {
	d, err := Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	exchanges, err := d.Run(t.Context())
	if err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, e := range exchanges {
		if !e.OK {
			t.Errorf("%s, connection %d for %q: %s%s: %s, want %s", e.Protocol, e.Connection, e.OpenedFor, e.Authority, e.Path, e.Answer(), e.Want)
		}
		seen[e.Protocol], seen[e.Answer()] = true, true
		if e.Resumed {
			seen["resumed"] = true
		}
	}
	for _, want := range []string{"h1", "h2", "h3", "resumed", "200 ok", "421 certificate_mismatch", "421 client_auth_mismatch",
		"421 coalescing_refused", "421 unknown_origin", "400 malformed_authority", "308 redirect",
		"alert certificate_required", "alert unrecognized_name"} {
		if !seen[want] {
			t.Errorf("no %s in the script", want)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		resumed, want bool
		status        int
		ok            bool
	}{{false, false, 200, true}, {true, true, 200, true}, {true, false, 200, false}, {false, true, 200, false}, {false, false, 421, false}} {
		e := Exchange{Status: test.status, Reason: "ok", Resumed: test.resumed, Want: "200 ok"}
		if e.judge(test.want); e.OK != test.ok {
			t.Errorf("%+v: %+v", test, e)
		}
	}
}

// TestFollow: what others send is told.
func TestFollow(t *testing.T) {
	d, err := Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	told := make(chan Entry, 1)
	d.Follow(func(e Entry) { told <- e })
	c, err := d.open(t.Context(), opening{protocol: "h2", host: blog})
	if err != nil {
		t.Fatal(err)
	}
	defer c.end()
	c.number = 1
	go d.ask(t.Context(), &Exchange{Method: "GET", Authority: d.spell(api), Path: "/orders"}, c)
	select {
	case e := <-told:
		if e.SNI != blog || e.Status != 421 || e.Reason != "certificate_mismatch" || e.Path != "/orders" || e.Protocol != "h2" {
			t.Errorf("%+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was told")
	}
}

func TestCheckAddress(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:8443": true, "[::1]:8443": true,
		"": false, ":8443": false, "localhost:0": false, "0.0.0.0:0": false, "192.0.2.1:0": false, "127.0.0.1": false, "127.0.0.1:http": false,
	} {
		if err := CheckAddress(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
		if good {
			continue
		}
		if d, err := Start(t.Context(), address); err == nil {
			d.Close()
			t.Errorf("%q: started", address)
		}
	}
}

// What cannot be had is named, and not a file that is gone when it is read.
func TestStartOnATakenPort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d, err := Start(t.Context(), taken.Addr().String())
	if err == nil {
		d.Close()
		t.Fatal("started")
	}
	if want := `listener "public": cannot listen on ` + taken.Addr().String() + " (tcp): address already in use\n    hint: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want %q", err, want)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
