package localca

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestReplaceFileIsWhole: a reader sees one content or the other, never a part and never nothing.
func TestReplaceFileIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<10)}
	if err := replaceFile(path, contents[0], keyMode); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(done)
		for i := range 100 {
			if err := replaceFile(path, contents[i%2], keyMode); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writer.Wait()
	for {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, contents[0]) && !bytes.Equal(data, contents[1]) {
			t.Fatalf("read %d bytes that nobody wrote so", len(data))
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestCreateFileIsFirstOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := createFile(path, []byte("first"), keyMode); err != nil {
		t.Fatal(err)
	}
	if err := createFile(path, []byte("second"), keyMode); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %v", err, fs.ErrExist)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "first" {
		t.Errorf("the file holds %q (%v)", data, err)
	}
	noTemps(t, filepath.Dir(path))
	if err := createFile(filepath.Join(path, "below"), nil, keyMode); err == nil {
		t.Error("a file was made below a file")
	}
}
