package originframe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/usher-http/usher/authority"
)

// vectors is testdata/vectors.json; its README says what each key means.
type vectors struct {
	Payloads []struct {
		Name    string
		Payload hexBytes
		Origins []string
		Ignored int
		Error   string
		Limits  Limits
		Frame   *hexBytes
	}
	Accept []struct {
		Name        string
		Type, Flags byte
		Stream      uint32
		ALPN        string
		Proxy       bool
		Accept      bool
	}
	Initial []struct {
		Name       string
		ServerName string `json:"server_name"`
		Remote     netip.AddrPort
		Origin     *string
	}
	Sets []struct {
		Name    string
		Initial *string
		Limits  Limits
		Steps   []struct {
			Receive *hexBytes
			Remove  string
			Error   string
			Members []string // nil: uninitialised
		}
	}
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Payloads) == 0 || len(v.Accept) == 0 || len(v.Initial) == 0 || len(v.Sets) == 0 {
		t.Fatal("a part of the vectors is empty")
	}
	return v
}

func mustOrigin(t testing.TB, s string) authority.Origin {
	t.Helper()
	o, err := ParseOrigin(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustOrigins(t testing.TB, list ...string) (all []authority.Origin) {
	t.Helper()
	for _, s := range list {
		all = append(all, mustOrigin(t, s))
	}
	return all
}

func texts(origins []authority.Origin) []string {
	all := []string{}
	for _, o := range origins {
		all = append(all, o.String())
	}
	return all
}

// kind is the word that the vectors use for an error.
func kind(err error) string {
	var truncated *TruncatedError
	var limit *LimitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &truncated):
		return "truncated"
	case errors.As(err, &limit):
		return "limit"
	}
	return "another error: " + err.Error()
}

func TestVectorPayloads(t *testing.T) {
	for _, v := range readVectors(t).Payloads {
		t.Run(v.Name, func(t *testing.T) {
			origins, ignored, err := Parse(v.Payload, v.Limits)
			if kind(err) != v.Error {
				t.Fatalf("error %v, want %q", err, v.Error)
			}
			if !slices.Equal(texts(origins), v.Origins) && len(origins)+len(v.Origins) > 0 {
				t.Errorf("origins %q, want %q", texts(origins), v.Origins)
			}
			if ignored != v.Ignored {
				t.Errorf("%d entries ignored, want %d", ignored, v.Ignored)
			}
			if v.Frame == nil {
				return
			}
			if got, err := Append([]byte("before"), origins); err != nil || !bytes.Equal(got, append([]byte("before"), v.Payload...)) {
				t.Errorf("Append: %x, %v; want %x", got, err, v.Payload)
			}
			if got, err := AppendFrame([]byte("before"), origins); err != nil || !bytes.Equal(got, append([]byte("before"), *v.Frame...)) {
				t.Errorf("AppendFrame: %x, %v; want %x", got, err, *v.Frame)
			}
		})
	}
}

func TestVectorAccept(t *testing.T) {
	for _, v := range readVectors(t).Accept {
		c := Connection{ALPN: v.ALPN, Proxy: v.Proxy}
		if got := Accept(v.Type, v.Flags, v.Stream, c); got != v.Accept {
			t.Errorf("%s: %v, want %v", v.Name, got, v.Accept)
		}
	}
}

func TestVectorInitial(t *testing.T) {
	for _, v := range readVectors(t).Initial {
		o, err := InitialOrigin(v.ServerName, v.Remote)
		switch {
		case v.Origin == nil:
			if err == nil || o != (authority.Origin{}) {
				t.Errorf("%s: %v, %v; want an error and the zero origin", v.Name, o, err)
			}
		case err != nil:
			t.Errorf("%s: %v", v.Name, err)
		case o.String() != *v.Origin:
			t.Errorf("%s: %v, want %s", v.Name, o, *v.Origin)
		}
	}
}

func TestVectorSets(t *testing.T) {
	for _, v := range readVectors(t).Sets {
		t.Run(v.Name, func(t *testing.T) {
			s := Set{Limits: v.Limits}
			if v.Initial != nil {
				s.Initial = mustOrigin(t, *v.Initial)
			}
			if s.Initialized() {
				t.Fatal("initialised before the first frame")
			}
			for i, step := range v.Steps {
				before := s.Len()
				if step.Receive != nil {
					added, _, err := s.Receive(*step.Receive)
					if kind(err) != step.Error {
						t.Fatalf("step %d: error %v, want %q", i, err, step.Error)
					}
					if added != s.Len()-before {
						t.Errorf("step %d: %d added, but %d members became %d", i, added, before, s.Len())
					}
				} else if removed := s.Remove(mustOrigin(t, step.Remove)); removed != (s.Len() < before) {
					t.Errorf("step %d: Remove says %v, but %d members became %d", i, removed, before, s.Len())
				}
				if s.Initialized() != (step.Members != nil) {
					t.Fatalf("step %d: initialised %v, want members %q", i, s.Initialized(), step.Members)
				}
				if got := texts(s.All()); !slices.Equal(got, step.Members) && len(got)+len(step.Members) > 0 {
					t.Fatalf("step %d: members %q, want %q", i, got, step.Members)
				}
			}
		})
	}
}
