//go:build linux

package benchproxy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A tick is the unit of processor time in /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go knows.
const tick = 10 * time.Millisecond

// A stat is what /proc/PID/stat says of a process.
type stat struct {
	parent int
	cpu    time.Duration // user and system, of the process and of its children that have ended and were waited for
}

// parseStat wants the text of /proc/PID/stat. The second field is the name of the program in parentheses, and may hold
// anything, parentheses and spaces too.
func parseStat(text []byte) (stat, error) {
	var s stat
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return s, fmt.Errorf("%q is no /proc/PID/stat", text)
	}
	var err error
	if s.parent, err = strconv.Atoi(fields[1]); err != nil {
		return s, err
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, err
		}
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// A tree is a process and all below it, as they were when it was made.
type tree []int

func treeOf(root int) (tree, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, file := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if s, err := readStat(pid); err == nil { // others come and go
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	all := tree{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// cpu is the processor time of all of them. A process that is gone is an error: its time would be missing.
func (t tree) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range t {
		s, err := readStat(pid)
		if err != nil {
			return 0, err
		}
		sum += s.cpu
	}
	return sum, nil
}

// kilobytes sums a line of a file of /proc/PID over all of them: of status, "VmRSS" is what is resident now and "VmHWM" the most
// that ever was; of smaps_rollup, "Pss" shares out pages that several processes have.
func (t tree) kilobytes(file, line string) (int, error) {
	sum := 0
	for _, pid := range t {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			return 0, err
		}
		n, err := kilobytesIn(string(text), line)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func kilobytesIn(text, name string) (int, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return 0, fmt.Errorf("there is no %s", name)
}

// firstTwo names two processors that this process may run on, as taskset wants them; "" where there are no more than two.
func firstTwo() (string, error) {
	if runtime.NumCPU() <= 2 {
		return "", nil
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return twoOf(strings.TrimSpace(rest))
		}
	}
	return "", fmt.Errorf("/proc/self/status has no Cpus_allowed_list")
}

// twoOf reads a list like 0-3,8: numbers and ranges.
func twoOf(list string) (string, error) {
	var found []string
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		if err != nil {
			return "", err
		}
		to, err := strconv.Atoi(high)
		if err != nil {
			return "", err
		}
		for n := from; n <= to && len(found) < 2; n++ {
			found = append(found, strconv.Itoa(n))
		}
	}
	return strings.Join(found, ","), nil
}

func TestParseStat(t *testing.T) {
	s, err := parseStat([]byte("4242 (a) b (c)) S 17 4242 1 0 -1 4194560 900 800 0 0 11 22 3 4 20 0 7 0 123 456 789\n"))
	if err != nil || s.parent != 17 || s.cpu != 400*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "1 (x) S 17", "4242 (x) S 17 4242 1 0 -1 4194560 900 800 0 0 11 y 3 4 20 0"} {
		if s, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func TestKilobytesIn(t *testing.T) {
	text := "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nPss_Anon:   7 kB\n"
	if n, err := kilobytesIn(text, "VmRSS"); n != 1024 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := kilobytesIn(text, "Pss"); err == nil {
		t.Errorf("Pss: %d", n)
	}
}

func TestTwoOf(t *testing.T) {
	for in, want := range map[string]string{"0-3": "0,1", "2,5-7": "2,5", "6": "6", "1,3,5": "1,3"} {
		if got, err := twoOf(in); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	if got, err := twoOf("a-b"); err == nil {
		t.Errorf("a-b: %q", got)
	}
}

// The tree of a shell holds what the shell has started, and the time that this uses.
func TestTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do :; done & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	_, err = fmt.Fscan(out, &child)
	t.Cleanup(func() {
		if p, err := os.FindProcess(child); err == nil && child > 0 {
			p.Kill()
		}
		cmd.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := treeOf(cmd.Process.Pid)
	if err != nil || !slices.Equal(all, tree{cmd.Process.Pid, child}) {
		t.Fatalf("%v, %v; want %d and %d", all, err, cmd.Process.Pid, child)
	}
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		cpu, err := all.cpu()
		if err != nil {
			t.Fatal(err)
		}
		if cpu > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child's time is not there")
		}
	}
	if n, err := all.kilobytes("status", "VmRSS"); n < 100 || err != nil {
		t.Errorf("RSS %d, %v", n, err)
	}
	if _, err := append(all, 1<<30).cpu(); err == nil {
		t.Error("a process that is gone was taken")
	}
}
