package h2

import "testing"

// What sessions keep together is counted to the byte, and beyond the limit each keeps less, but for what every stream may keep.
func TestAccount(t *testing.T) {
	a := &Account{Soft: 100 << 10, Hard: 200 << 10}
	ask := func() *peer {
		p := connected(t, &Config{Account: a})
		p.settings(initialWindow(0))
		p.onRequest = begin
		p.headers(1, true, get()...)
		p.headers(3, true, get()...)
		p.flush()
		return p
	}
	first, second := ask(), ask()
	if n := second.streams[1].Write(make([]byte, 10<<10)); n != 10<<10 {
		t.Fatalf("Write took %d", n)
	}
	if n := first.streams[1].Write(make([]byte, 1<<20)); n != 256<<10 {
		t.Errorf("Write took %d before anything was kept, want all of SendBuffer", n)
	}
	if !a.Full() || a.Kept() != int64(first.s.Kept()+second.s.Kept()) {
		t.Errorf("%d are kept, by the sessions %d and %d", a.Kept(), first.s.Kept(), second.s.Kept())
	}
	if n := first.streams[3].Write(make([]byte, 1<<20)); n != reserve {
		t.Errorf("Write took %d of another stream, want its reserve", n)
	}
	if second.streams[1].Write(make([]byte, 1<<20)); second.s.Kept() != fewer {
		t.Errorf("%d bytes are kept beyond the limit, want %d", second.s.Kept(), fewer)
	}
	first.s.Lost()
	if a.Full() || a.Kept() != int64(second.s.Kept()) {
		t.Errorf("%d are kept where one session is left that keeps %d", a.Kept(), second.s.Kept())
	}
	second.windowUpdate(1, 10<<10)
	second.flush()
	if a.Kept() != int64(second.s.Kept()) || second.s.Kept() >= fewer {
		t.Errorf("%d are kept, by the session %d", a.Kept(), second.s.Kept())
	}
	second.streams[1].Reset(Cancel)
	if a.Kept() != 0 {
		t.Errorf("%d bytes of a stream that was reset", a.Kept())
	}
}

// Await says how much Write takes, and has the handler told when that is more.
func TestAwait(t *testing.T) {
	p := connected(t, nil)
	p.settings(initialWindow(5))
	if st := (&Stream{s: p.s}); st.Await(1) != 0 {
		t.Error("room before the answer has begun")
	}
	p.onRequest = begin
	p.headers(1, true, get()...)
	p.flush()
	st := p.streams[1]
	const piece = 16 << 10
	told := 0
	p.onWritable = func(*Stream) { told++ }
	for total := 0; ; {
		n := st.Await(piece)
		if n < piece {
			if total != 256<<10+5 {
				t.Errorf("%d bytes were taken, want the window and SendBuffer", total)
			}
			break
		}
		if took := st.Write(make([]byte, n)); took != n {
			t.Fatalf("there is room for %d, and Write took %d", n, took)
		}
		total += n
	}
	p.windowUpdate(1, 10)
	p.flush()
	if told != 0 {
		t.Error("told for 10 bytes")
	}
	p.windowUpdate(1, 2*piece)
	p.flush()
	if n := st.Await(piece); told != 1 || n < piece {
		t.Errorf("told %d times, and there is room for %d", told, n)
	}
}
