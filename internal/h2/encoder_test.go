package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// What is encoded is decoded by x/net's decoder, whatever the fields, the size of the table and its changes.
func TestEncoderAgainstXNet(t *testing.T) {
	names := []string{"content-type", "x-custom", "etag", "set-cookie", "server", "via", "a", strings.Repeat("n", 300)}
	values := []string{"", "text/html", "1", "2", strings.Repeat("v", 500), "caf\xe9", "a, b; c=\"d\"", "~~~~", strings.Repeat("w", 3000)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var e encoder
		e.init()
		dec := hpack.NewDecoder(maxTable, nil)
		limit := uint32(maxTable) // what the client's settings allow
		for range 60 {
			for r.IntN(8) == 0 {
				limit = []uint32{0, 50, 200, 1000, 4096, 100000}[r.IntN(6)]
				e.resize(limit)
				dec.SetAllowedMaxDynamicTableSize(max(limit, min(limit, maxTable)))
			}
			var fields message.Fields
			for range r.IntN(10) {
				fields = append(fields, message.Field{Name: names[r.IntN(len(names))], Value: values[r.IntN(len(values))]})
			}
			status := []int{0, 200, 204, 206, 304, 400, 404, 500, 103, 421, 599, 999}[r.IntN(12)]
			want := ""
			if status != 0 {
				want = fmt.Sprintf(":status=%d ", status)
			}
			for _, f := range fields {
				want += f.Name + "=" + f.Value + " "
			}
			got := ""
			dec.SetEmitFunc(func(f hpack.HeaderField) {
				got += f.Name + "=" + f.Value + " "
				if f.Sensitive != (f.Name == "set-cookie") {
					t.Errorf("%s: never indexed: %v", f.Name, f.Sensitive)
				}
			})
			wire := e.section(nil, status, fields)
			if _, err := dec.Write(wire); err != nil {
				t.Fatalf("%x: %v", wire, err)
			}
			if err := dec.Close(); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			if e.size > min(limit, maxTable) {
				t.Fatalf("the table has %d bytes, of %d", e.size, limit)
			}
		}
	}
}

// Golden bytes: RFC 7541 appendix C has none of an encoder's choices, so these are checked by hand.
func TestEncoderChoices(t *testing.T) {
	var e encoder
	e.init()
	server := message.Fields{{Name: "server", Value: "usher"}}
	literal := appendString([]byte{0x88, 0x0f, 54 - 15}, "usher")
	for i, want := range [][]byte{
		literal, // the first time: not indexed
		append([]byte{0x88, 0x40 | 54}, literal[3:]...), // the second: into the table
		{0x88, 0x80 | 62}, // then by number
	} {
		if got := e.section(nil, 200, server); !bytes.Equal(got, want) {
			t.Errorf("time %d: %x, want %x", i+1, got, want)
		}
	}
	cookie := message.Fields{{Name: "set-cookie", Value: "~"}}
	for range 4 { // never
		if got, want := e.section(nil, 0, cookie), []byte{0x1f, 55 - 15, 1, '~'}; !bytes.Equal(got, want) {
			t.Errorf("set-cookie: %x, want %x", got, want)
		}
	}
	e.resize(100)
	e.resize(0)
	e.resize(4096)
	if got, want := e.section(nil, 200, nil), []byte{0x20, 0x3f, 0xe1, 0x1f, 0x88}; !bytes.Equal(got, want) {
		t.Errorf("sizes: %x, want %x", got, want)
	}
	if len(e.entries) != 0 {
		t.Errorf("%d entries are left", len(e.entries))
	}
}

// Two fields may have the same hash.
func TestEncoderCollision(t *testing.T) {
	var e encoder
	e.init()
	e.add(7, "a", "1")
	if i := e.find(7, "a", "1"); i != 62 {
		t.Errorf("the entry is found at %d", i)
	}
	if a, b := e.find(7, "a", "2"), e.find(7, "b", "1"); a != 0 || b != 0 {
		t.Errorf("others are found at %d and %d", a, b)
	}
}

// The static table is the one that x/net's decoder has.
func TestStaticTable(t *testing.T) {
	known := 0
	for i := 15; i <= staticLen; i++ {
		f, err := hpack.NewDecoder(0, nil).DecodeFull(appendInt(nil, 0x80, 7, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		switch got := staticIndex(f[0].Name); got {
		case i:
			known++
		case notSent:
			if f[0].Name != "transfer-encoding" {
				t.Errorf("%s is not sent", f[0].Name)
			}
		default:
			t.Errorf("%s is %d, want %d", f[0].Name, got, i)
		}
	}
	if known != staticLen-15 {
		t.Errorf("%d names are known", known)
	}
	f, _ := hpack.NewDecoder(0, nil).DecodeFull([]byte{0x80 | indexOfStatus})
	if f[0] != (hpack.HeaderField{Name: ":status", Value: "200"}) {
		t.Errorf("%d is %v", indexOfStatus, f[0])
	}
}
