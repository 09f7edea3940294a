package benchproxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// A loadResult is what h2load says of its requests.
type loadResult struct {
	seconds, rate         float64 // rate: requests/s
	total, done           int
	errored, timeout      int
	bytes                 int64 // of content
	cipher, key, protocol string
	statuses              map[int]int
	times                 []float64 // of each request, in microseconds
}

var (
	finished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m), ([0-9.]+) req/s`)
	requests = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, (\d+) done, \d+ succeeded, \d+ failed, (\d+) errored, (\d+) timeout`)
	traffic  = regexp.MustCompile(`(?m)^traffic: .* (?:\([^()]*\), )?[^,]* \((\d+)\) data$`)
	cipherOf = regexp.MustCompile(`(?m)^Cipher: (\S+)`)
	keyOf    = regexp.MustCompile(`(?m)^Server Temp Key: (.+)`)
	protoOf  = regexp.MustCompile(`(?m)^Application protocol: (\S+)`)
)

var units = map[string]float64{"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}

// parseSummary reads what h2load prints.
func parseSummary(out []byte) (*loadResult, error) {
	f, r, t := finished.FindSubmatch(out), requests.FindSubmatch(out), traffic.FindSubmatch(out)
	if f == nil || r == nil || t == nil {
		return nil, fmt.Errorf("this is no summary of h2load:\n%s", out)
	}
	number := func(b []byte) float64 {
		n, _ := strconv.ParseFloat(string(b), 64) // the patterns let numbers through alone
		return n
	}
	first := func(re *regexp.Regexp) string {
		if m := re.FindSubmatch(out); m != nil {
			return string(m[1])
		}
		return ""
	}
	return &loadResult{
		seconds: number(f[1]) * units[string(f[2])], rate: number(f[3]),
		total: int(number(r[1])), done: int(number(r[2])), errored: int(number(r[3])), timeout: int(number(r[4])),
		bytes:  int64(number(t[1])),
		cipher: first(cipherOf), key: first(keyOf), protocol: first(protoOf),
	}, nil
}

// readLog reads h2load's --log-file: the start of the request in microseconds, the status (-1 for a stream that failed)
// and the microseconds until the end of the response, with tabs between them.
func (r *loadResult) readLog(log io.Reader) error {
	if r.statuses == nil {
		r.statuses = map[int]int{}
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fields := bytes.Split(lines.Bytes(), []byte("\t"))
		if len(fields) < 3 {
			return fmt.Errorf("line %q of h2load's log has no three columns", lines.Text())
		}
		status, err := strconv.Atoi(string(fields[1]))
		if err != nil {
			return err
		}
		took, err := strconv.Atoi(string(fields[2]))
		if err != nil {
			return err
		}
		r.statuses[status]++
		r.times = append(r.times, float64(took))
	}
	return lines.Err()
}

// check says what is wrong with a run of n requests: a run with one wrong answer gives no number.
func (r *loadResult) check(w work, n int) error {
	protocol := "h2"
	if w.http1 {
		protocol = "http/1.1"
	}
	switch {
	case r.total != n || r.done != n || r.errored != 0 || r.timeout != 0:
		return fmt.Errorf("%d requests wanted, %d begun, %d done, %d errored, %d timed out", n, r.total, r.done, r.errored, r.timeout)
	case r.statuses[w.status] != n || len(r.statuses) != 1:
		return fmt.Errorf("%d answers of status %d wanted, got (status:number) %v", n, w.status, r.statuses)
	case w.body >= 0 && r.bytes != int64(n)*int64(w.body):
		return fmt.Errorf("%d answers of %d bytes wanted, got %d bytes", n, w.body, r.bytes)
	case r.protocol != protocol:
		return fmt.Errorf("protocol %q, want %q", r.protocol, protocol)
	}
	return nil
}

// add takes in a further run of h2load.
func (r *loadResult) add(o *loadResult) {
	r.seconds += o.seconds
	r.cipher, r.key, r.protocol = o.cipher, o.key, o.protocol
	r.total, r.done, r.errored, r.timeout, r.bytes = r.total+o.total, r.done+o.done, r.errored+o.errored, r.timeout+o.timeout, r.bytes+o.bytes
	r.times = append(r.times, o.times...)
	for status, n := range o.statuses {
		r.statuses[status] += n
	}
	r.rate = float64(r.done) / r.seconds
}

// What h2load 1.52 prints.
const h2loadSummary = `starting benchmark...
spawning thread #0: 2 total client(s). 20 total requests
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 10% done
progress: 100% done

finished in 4.05ms, 4935.83 req/s, 318.17KB/s
requests: 20 total, 20 started, 20 done, 18 succeeded, 2 failed, 1 errored, 3 timeout
status codes: 18 2xx, 0 3xx, 2 4xx, 0 5xx
traffic: 1.29KB (1320) total, 440B (440) headers (space savings 83.82%), 840B (840) data
                     min         max         mean         sd        +/- sd
time for request:       92us      1.13ms       243us       310us    90.00%
time for connect:     1.41ms      1.58ms      1.49ms       121us   100.00%
`

func TestParseSummary(t *testing.T) {
	for _, test := range []struct {
		replace, with string
		change        func(*loadResult)
	}{
		{"", "", func(*loadResult) {}},
		{"finished in 4.05ms", "finished in 2.50s", func(r *loadResult) { r.seconds = 2.5 }},
		{"finished in 4.05ms", "finished in 950us", func(r *loadResult) { r.seconds = 950e-6 }},
		{"840B (840) data", "1.50GB (1610612736) data", func(r *loadResult) { r.bytes = 1610612736 }},
		{"Application protocol: h2", "Application protocol: http/1.1", func(r *loadResult) { r.protocol = "http/1.1" }},
		{" headers (space savings 83.82%)", " headers (space savings -inf%)", func(*loadResult) {}},
	} {
		want := loadResult{seconds: 4.05e-3, rate: 4935.83, total: 20, done: 20, errored: 1, timeout: 3, bytes: 840,
			cipher: "TLS_AES_128_GCM_SHA256", key: "X25519 253 bits", protocol: "h2"}
		test.change(&want)
		got, err := parseSummary(bytes.Replace([]byte(h2loadSummary), []byte(test.replace), []byte(test.with), 1))
		if err != nil {
			t.Errorf("%q: %v", test.with, err)
			continue
		}
		if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%q: got %+v, want %+v", test.with, *got, want)
		}
	}
	for _, without := range []string{"finished in", "requests: ", "traffic: "} {
		if r, err := parseSummary(bytes.Replace([]byte(h2loadSummary), []byte(without), nil, 1)); err == nil {
			t.Errorf("without %q: %+v", without, r)
		}
	}
}

func TestReadLog(t *testing.T) {
	var r loadResult
	if err := r.readLog(bytes.NewBufferString("1700000000000001\t200\t92\n1700000000000002\t-1\t110\n1700000000000003\t200\t1130\tmore\n")); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(r.statuses) != "map[-1:1 200:2]" || !slices.Equal(r.times, []float64{92, 110, 1130}) {
		t.Errorf("statuses %v, times %v", r.statuses, r.times)
	}
	for _, line := range []string{"1\t200\n", "1\tx\t5\n", "1\t200\ty\n"} {
		if err := r.readLog(bytes.NewBufferString(line)); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestCheckAndAdd(t *testing.T) {
	w := work{status: 200, body: 42}
	good := func() *loadResult {
		return &loadResult{seconds: 2, rate: 5, total: 10, done: 10, bytes: 420, protocol: "h2", statuses: map[int]int{200: 10}, times: []float64{1}}
	}
	if err := good().check(w, 10); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*loadResult){
		"one not begun":   func(r *loadResult) { r.total = 9 },
		"one not done":    func(r *loadResult) { r.done = 9 },
		"one errored":     func(r *loadResult) { r.errored = 1 },
		"one timed out":   func(r *loadResult) { r.timeout = 1 },
		"one 502":         func(r *loadResult) { r.statuses = map[int]int{200: 10, 502: 1} },
		"one without row": func(r *loadResult) { r.statuses = map[int]int{200: 9} },
		"a byte short":    func(r *loadResult) { r.bytes-- },
		"HTTP/1.1":        func(r *loadResult) { r.protocol = "http/1.1" },
	} {
		r := good()
		spoil(r)
		if r.check(w, 10) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	own := good()
	own.bytes = 7
	if err := own.check(work{status: 200, body: -1}, 10); err != nil {
		t.Error(err)
	}
	sum := good()
	sum.add(&loadResult{seconds: 3, rate: 9, total: 20, done: 20, bytes: 840, protocol: "h2", statuses: map[int]int{200: 20}, times: []float64{2, 3}})
	if sum.check(w, 30) != nil || sum.seconds != 5 || sum.rate != 6 || len(sum.times) != 3 {
		t.Errorf("sum %+v", sum)
	}
}
