//go:build linux

package benchproxy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestBenchProxy measures all works and contenders in alternating rounds and says which targets are met. A run with a wrong
// answer, and a contender that does not start, fail the test and give no number. Targets that are missed do not.
func TestBenchProxy(t *testing.T) {
	if !*enabled {
		t.Skip("this is a measurement: run it with make bench-proxy")
	}
	if *quick {
		given := map[string]bool{}
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["rounds"] {
			*rounds = 1
		}
		if !given["seconds"] {
			*seconds = 1.5
		}
	}
	if *rounds < 1 || *seconds <= 0 || *threads < 1 || *idleConns < 1 {
		t.Fatal("-rounds, -seconds, -threads and -idle are at least 1, seconds more than 0")
	}
	if *outFlag != "" && !filepath.IsAbs(*outFlag) {
		t.Fatalf("-out %q must be absolute, since tests run in the folder of their package", *outFlag)
	}
	b, who, what := newBench(t), contenders(t), chosenWorks(t)
	r := &results{Begin: time.Now(), Rounds: *rounds, Seconds: *seconds, Threads: *threads}
	for _, c := range who {
		fmt.Printf("%-8s %s\n", c.name, c.version)
		r.add(c, b.verify(t, c))
	}
	if t.Failed() {
		return
	}
	if *profile {
		b.profiles(t, who, what)
		return
	}
	for round := range *rounds {
		for _, w := range what {
			for _, c := range rotated(who, round) {
				m, err := b.measure(t, c, w)
				if err != nil {
					t.Errorf("%s, %s: %v", w.name, c.name, err)
					continue
				}
				m.Round = round
				r.Runs = append(r.Runs, *m)
				fmt.Printf("round %d %-10s %-8s %9.0f requests/s %8.2f us CPU  p50 %6.0f us  p99 %7.0f us  RSS %4d MiB\n",
					round+1, m.Work, m.Contender, m.Rate, m.CPU, m.P50, m.P99, m.RSS>>10)
			}
		}
		if idleChosen() {
			b.idleRound(t, r, rotated(who, round), round)
		}
	}
	r.Took = time.Since(r.Begin).Round(time.Second).String()
	fmt.Print(r.text())
	if *outFlag != "" {
		if err := r.write(*outFlag); err != nil {
			t.Error(err)
		}
	}
}

// rotated returns the contenders in another order each round, so that nobody always follows the same one.
func rotated(who []contender, round int) []contender {
	n := round % len(who)
	order := append(slices.Clone(who[n:]), who[:n]...)
	if round/len(who)%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

func chosenWorks(t *testing.T) []work {
	t.Helper()
	names := list(*worksFlag)
	for _, name := range names {
		if !slices.Contains(workNames(), name) {
			t.Fatalf("-works: there is no %q; hint: %v", name, workNames())
		}
	}
	if len(names) == 0 {
		return works
	}
	return slices.DeleteFunc(slices.Clone(works), func(w work) bool { return !slices.Contains(names, w.name) })
}

// idleChosen holds for the whole measurement, and where it is asked for.
func idleChosen() bool {
	names := list(*worksFlag)
	return len(names) == 0 && !*quick || slices.Contains(names, idleWork)
}

// write makes the folder and puts the results and the configurations into it.
func (r *results) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := r.json()
	if err != nil {
		return err
	}
	files := map[string][]byte{"results.json": data, "results.md": []byte(r.markdown())}
	for _, c := range r.Contenders {
		files[c.Name+"-"+c.File] = []byte(c.Configuration)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("written to %s: results.json, results.md and the configurations\n", dir)
	return nil
}

func TestRotated(t *testing.T) {
	who := []contender{{name: "a"}, {name: "b"}, {name: "c"}}
	for round, want := range []string{"abc", "bca", "cab", "cba", "acb", "bac", "abc"} {
		got := ""
		for _, c := range rotated(who, round) {
			got += c.name
		}
		if got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
}
