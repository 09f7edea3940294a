package accesslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

// No line holds a control character, but for its newline, and none is lost in JSON.
func TestNoControlCharacters(t *testing.T) {
	var all strings.Builder
	for c := range rune(0x100) {
		fmt.Fprintf(&all, "%c\\%c", c, c)
	}
	for b := range 256 {
		all.WriteString("x" + string([]byte{byte(b)}))
	}
	l := Line{Method: all.String(), Path: all.String(), Error: "\u009b31m\u007f"}
	var text, other bytes.Buffer
	slog.New(slog.NewJSONHandler(JSONWriter(&other), nil)).Info("upstream failed", "path", l.Path, "error", l.Error)
	text.Write(AppendText(nil, now, slog.LevelInfo, &l))
	line := AppendJSON(nil, now, slog.LevelInfo, &l)
	for name, b := range map[string][]byte{"JSON": line, "text": text.Bytes(), "slog": other.Bytes()} {
		if !utf8.Valid(b) {
			t.Errorf("%s: not UTF-8", name)
		}
		for i, c := range string(b) {
			if c < ' ' && (c != '\n' || i != len(b)-1) || c >= 0x7f && c < 0xa0 {
				t.Errorf("%s: %q stands as it is", name, c)
			}
		}
	}
	for name, b := range map[string][]byte{"the line": line, "slog's": other.Bytes()} {
		var have struct{ Path, Error string }
		if err := json.Unmarshal(b, &have); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if have.Error != l.Error {
			t.Errorf("%s: %q", name, have.Error)
		}
		for c := range rune(0x100) {
			if !strings.ContainsRune(have.Path, c) {
				t.Errorf("%s: %q is lost", name, c)
			}
		}
	}
}
