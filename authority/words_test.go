package authority

import (
	"encoding/json"
	"testing"
)

// The words are an interface: logs, metrics and reports of others are searched for them.
func TestReasonWords(t *testing.T) {
	words := []string{"ok", "malformed_authority", "host_conflict", "scheme_mismatch", "unknown_origin", "wrong_listener", "certificate_mismatch",
		"client_auth_mismatch", "tls_version_mismatch", "coalescing_refused", "redirect", "early_data", "method_not_supported", "no_facts"}
	all := Reasons()
	if len(all) != len(words) {
		t.Fatalf("%d reasons, want %d", len(all), len(words))
	}
	for i, r := range all {
		if r.String() != words[i] {
			t.Errorf("reason %d is %q, want %q", i, r, words[i])
		}
		text, err := json.Marshal(r)
		var back Reason
		if err != nil || json.Unmarshal(text, &back) != nil || back != r {
			t.Errorf("%v does not come back from %s", r, text)
		}
	}
	var r Reason
	if r.UnmarshalText([]byte("other")) == nil || Reason(200).String() != "reason(200)" {
		t.Error("a reason that does not exist has a word")
	}
	for r, want := range map[Reason]int{EarlyData: 425, MethodNotSupported: 405, NoFacts: 500, OK: 500} {
		if v := Answer(r); v.Status() != want || v.Kind() != Failed {
			t.Errorf("Answer(%v) is %d %v, want %d", r, v.Status(), v.Kind(), want)
		}
	}
	if v := Answer(WrongListener); v.Status() != 421 || v.Kind() != Misdirected || v.Close {
		t.Errorf("Answer(%v) is %+v", WrongListener, v)
	}
}

func TestClientAuthWords(t *testing.T) {
	for m, word := range map[ClientAuth]string{None: "none", Optional: "optional", Require: "require"} {
		var back ClientAuth
		if m.String() != word || back.UnmarshalText([]byte(word)) != nil || back != m {
			t.Errorf("%v, want %q", m, word)
		}
	}
	var m ClientAuth
	if m.UnmarshalText([]byte("required")) == nil || ClientAuth(9).String() != "clientauth(9)" {
		t.Error("a mode that does not exist has a word")
	}
}

// The kind of a verdict follows from its reason; the zero Verdict has none that serves.
func TestKindOfEveryReason(t *testing.T) {
	v, tables := readVectors(t)
	want := map[Reason]Kind{OK: Serve, MalformedAuthority: Malformed, HostConflict: Malformed, UnknownOrigin: Unknown, Redirect: Elsewhere, NoFacts: Failed}
	for _, c := range v.Cases {
		got := tables[c.Table].Decide(c.Connection.build(), c.request())
		kind, ok := want[got.Reason]
		if !ok {
			kind = Misdirected
		}
		if got.Kind() != kind || got.Kind().String() == "" {
			t.Errorf("%s: kind %v, want %v", c.Name, got.Kind(), kind)
		}
	}
}
