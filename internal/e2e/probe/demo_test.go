package probe

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testenv"
	"github.com/usher-http/usher/probe/report"
	"github.com/usher-http/usher/probe/wire"
)

var demoFolder = regexp.MustCompile(`removes (\S+?)\.?$`)

// TestDemo: the demo's sites come out without a finding over all three protocols, with and without the client certificate: one shares with
// others, one requires a client certificate, one wants connections of its own.
func TestDemo(t *testing.T) {
	program := testenv.UsherBinary(t)
	cmd := exec.Command(program, "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
	})
	var folder, address string
	for lines := bufio.NewScanner(out); folder == "" && lines.Scan(); {
		if m := demoFolder.FindStringSubmatch(lines.Text()); m != nil {
			folder = m[1]
		}
		if _, rest, ok := strings.Cut(lines.Text(), "serves https on "); ok {
			address, _, _ = strings.Cut(rest, " ")
		}
	}
	if folder == "" || address == "" {
		t.Fatal("the demo does not say where it is")
	}
	go func() { // what it shows of requests
		for lines := bufio.NewScanner(out); lines.Scan(); {
		}
	}()
	port := address[strings.LastIndexByte(address, ':')+1:]
	args := []string{"probe", "--json", "--ca", folder + "/ca.pem", "--connect", "::127.0.0.1:", "--timeout", "1m", "--target-rate", "0"}
	for _, name := range []string{"shop", "api", "staff", "pay", "blog"} {
		args = append(args, name+".localhost:"+port)
	}
	for _, more := range [][]string{nil, {"--cert", folder + "/client.pem", "--key", folder + "/client.key"}} {
		text, code := run(t, folder, program, append(args, more...)...)
		r, err := report.Read(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if code != 0 || len(r.Findings) != 0 || r.Summary.Unreachable != 0 {
			found, _ := json.Marshal(r.Findings)
			t.Errorf("%v: exit %d, %+v\n%s", more, code, r.Summary, found)
		}
		over := map[wire.Protocol]int{}
		for _, p := range r.Pairs {
			over[p.Protocol]++
		}
		if len(over) != 3 {
			t.Errorf("%v: pairs %v, want all protocols", more, over)
		}
	}
}
