package h2

import "testing"

func TestValidScheme(t *testing.T) {
	for s, want := range map[string]bool{"https": true, "http": true, "ftp": true, "HTTPS": true, "a+b-c.d9": true, "": false, "1a": false, "+a": false,
		"a b": false, "a:": false, "a/": false, "\xe4": false, "a@": false, "a[": false, "a`": false, "a{": false} {
		if got := validScheme(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestParseUrgency(t *testing.T) {
	for s, want := range map[string]uint8{"": unknownUrgency, "u=0": 0, "u=7": 7, "u=8": unknownUrgency, "u=-1": unknownUrgency, "u=1.0": unknownUrgency,
		"i": unknownUrgency, "i, u=5": 5, "u=5;x=1 , i": 5, "u=1,u=2": 2, "uu=1": unknownUrgency, "u": unknownUrgency, "U=1": unknownUrgency, "u=12": unknownUrgency} {
		if got := parseUrgency(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}
