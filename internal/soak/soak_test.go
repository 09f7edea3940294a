package soak

import (
	"context"
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-http/usher/internal/testca"
	"github.com/usher-http/usher/internal/testenv"
)

var (
	long     = flag.Bool("soak", false, "hold the load for as long as -soak-duration says, and tell how it goes")
	duration = flag.Duration("soak-duration", 10*time.Minute, "how long, with -soak")
	workers  = flag.Int("soak-workers", 24, "sessions at the same time")
	seed     = flag.Uint64("soak-seed", 0, "the seed of the run; 0: a new one")
	single   = flag.Uint64("soak-session", 0, "have this one session again and again, by the seed that a failure prints")
	logFile  = flag.String("soak-log", "", "where the program logs; empty: nowhere, without -soak a file that is read where something fails")
)

// Go's own clients write to the standard logger what they think of frames that they do not know.
func init() { log.SetOutput(io.Discard) }

// The run that comes with every "go test".
const short = 3 * time.Second

// TestSoak: "bodies are right: a checksum of every request and response under load with random sizes, chunkings, window sizes, resets
// and vanishing clients and upstreams: no wrong byte, no leaked goroutine, connection or memory".
func TestSoak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a process holds is read from /proc")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	ca := testca.New(t)
	up := startUpstreams(t, ca)
	file := *logFile
	switch {
	case file != "":
	case *long:
		file = os.DevNull
	default:
		file = filepath.Join(t.TempDir(), "log")
	}
	s := startServer(t, ca, up.urls, file)
	tell(t, "soak: seed %#x, %s", *seed, versions(t))

	// The first requests make what stays: pools, tables, a goroutine here and there.
	warm := newRun(t.Context(), s)
	up.run.Store(warm)
	for i := range uint64(4 * len(kinds)) {
		s := newSession(warm, mix(*seed-i))
		s.mortal = false
		s.play()
	}
	check(t, warm)
	before := settle(t, warm, up, level{}, false)

	limit := short
	if *long {
		limit = *duration
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l := newRun(ctx, s)
	if !*long {
		l.pace = newPace()
	}
	up.run.Store(l)
	m := &monitor{run: l, upstreams: up, limit: limit}
	watched := make(chan struct{})
	go func() {
		m.watch(t)
		close(watched)
	}()
	load(l)
	l.stop()
	<-watched
	check(t, l)
	end := lingerers(t, l)
	settle(t, l, up, before, *long)
	end()
	check(t, l)
	m.summary(t)
}

// load keeps the sessions going until the run ends.
func load(l *run) {
	var each sync.WaitGroup
	for i := range *workers {
		each.Go(func() {
			for n := 0; l.ctx.Err() == nil; n++ {
				of := mix(*seed + uint64(i)<<32 + uint64(n))
				if *single != 0 {
					of = *single
				}
				newSession(l, of).play()
			}
		})
	}
	each.Wait()
}

// check fails the test where something went wrong.
func check(t *testing.T, l *run) {
	t.Helper()
	if list := l.failed(); len(list) > 0 {
		text := strings.Join(list, "\n")
		t.Fatalf("seed %#x: %s\n%s\n(the run again: -args -soak -soak-seed=...; one session again and again: -args -soak -soak-session=...)",
			*seed, text, l.server.logOf(text))
	}
}

// tell prints at once, where somebody waits for it.
func tell(t *testing.T, format string, args ...any) {
	t.Helper()
	if *long {
		fmt.Printf(format+"\n", args...)
	} else {
		t.Logf(format, args...)
	}
}

// versions are those of what is in the program.
func versions(t *testing.T) string {
	t.Helper()
	info, err := buildinfo.ReadFile(testenv.UsherBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	list := []string{info.GoVersion, runtime.GOOS + "/" + runtime.GOARCH}
	for _, m := range info.Deps {
		if m.Path == "golang.org/x/net" || m.Path == "github.com/quic-go/quic-go" {
			list = append(list, m.Path+" "+m.Version)
		}
	}
	return strings.Join(list, ", ")
}
