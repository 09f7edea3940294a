package localca

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	helperDir  = "LOCALCA_TEST_DIR"
	helperWork = "LOCALCA_TEST_WORK"
)

// TestMain lets the test binary be the other process: one that opens a store, and one that works on until
// it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	bufio.NewReader(os.Stdin).ReadByte() // the start signal: end of input
	if err := otherProcess(dir, os.Getenv(helperWork) != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func otherProcess(dir string, work bool) error {
	s, err := Open(dir, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%x\n", s.Root().SerialNumber)
	for work {
		// Remove the leaf, so that the next call has to write it.
		if err := os.Remove(s.path(leafFile([]string{"a.example"}))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := s.Certificate([]string{"a.example"}); err != nil {
			return err
		}
	}
	return nil
}

func helper(t *testing.T, dir, work string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperWork+"="+work)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestProcessesThatStartAtOnceShareOneRoot(t *testing.T) {
	for range 3 {
		dir := filepath.Join(t.TempDir(), "ca")
		signal, release, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var cmds []*exec.Cmd
		var outs []*bufio.Reader
		for range 4 {
			cmd := helper(t, dir, "")
			cmd.Stdin = signal
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmds, outs = append(cmds, cmd), append(outs, bufio.NewReader(out))
		}
		if err := errors.Join(signal.Close(), release.Close()); err != nil {
			t.Fatal(err)
		}
		var serials []string
		for i, cmd := range cmds {
			line, err := outs[i].ReadString('\n')
			if err := errors.Join(err, cmd.Wait()); err != nil {
				t.Fatal(err)
			}
			serials = append(serials, line)
		}
		for _, serial := range serials[1:] {
			if serial != serials[0] {
				t.Fatalf("processes that started at once have different roots: %q", serials)
			}
		}
		noTemps(t, dir)
	}
}

// TestKilledWhileWriting: whatever the moment, the next start finds a store that works, and the same root.
func TestKilledWhileWriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	var root *x509.Certificate
	for range 12 {
		cmd := helper(t, dir, "work")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // the random moment is the test
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // says that it was killed
		s, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if root != nil && !s.Root().Equal(root) {
			t.Fatal("a new root after a crash")
		}
		root = s.Root()
		cert, err := s.Certificate([]string{"a.example"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: s.ca.Pool(), DNSName: "a.example"}); err != nil {
			t.Fatal(err)
		}
	}
}
