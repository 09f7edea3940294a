package message

import (
	"strings"
	"testing"
)

func oneByOne(v string) bool {
	for i, c := range []byte(v) {
		end := i == 0 || i == len(v)-1
		if c < 0x20 && c != '\t' || c == 0x7f || end && (c == ' ' || c == '\t') {
			return false
		}
	}
	return true
}

// Every byte in every place of values of every short length is judged as by looking at them one by one.
func TestValidValueByByte(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				v := []byte(strings.Repeat("a", length))
				v[at] = byte(c)
				if got, want := ValidValue(string(v)), oneByOne(string(v)); got != want {
					t.Fatalf("%q: %v, want %v", v, got, want)
				}
				if at > 0 { // beside a byte with its top bit set, from which nothing may carry over
					v[at-1] = 0xff
					if got, want := ValidValue(string(v)), oneByOne(string(v)); got != want {
						t.Fatalf("%q: %v, want %v", v, got, want)
					}
				}
			}
		}
	}
}
