package rawh3

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
)

func packet(frames ...any) qlog.PacketReceived {
	var p qlog.PacketReceived
	for _, f := range frames {
		p.Frames = append(p.Frames, qlog.Frame{Frame: f})
	}
	return p
}

// TestEndWaitsForReaders: the end of a connection is noticed when what came before it was read to its end, and not sooner.
func TestEndWaitsForReaders(t *testing.T) {
	stream := func(id quic.StreamID, n int64, fin bool) *qlog.StreamFrame {
		return &qlog.StreamFrame{StreamID: id, Length: n, Fin: fin}
	}
	for name, test := range map[string]struct {
		id      quic.StreamID
		came    any
		endless bool // what was read says that there is no more to come for now
	}{
		"a request stream":        {0, stream(0, 3, true), false},
		"the control stream":      {3, stream(3, 3, false), true},
		"a request that is reset": {4, &qlog.ResetStreamFrame{StreamID: 4, FinalSize: 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArrivals()
			r, done := a.from(test.id, strings.NewReader("abc"))
			a.RecordEvent(packet(test.came, stream(8, 9, true))) // nobody reads stream 8
			ended := make(chan struct{})
			go func() {
				a.RecordEvent(packet(&qlog.ConnectionCloseFrame{}))
				close(ended)
			}()
			early := func(what string) {
				select {
				case <-ended:
					t.Fatal(what)
				case <-time.After(20 * time.Millisecond):
				}
			}
			if _, err := io.ReadFull(r, make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			early("ended before all was read")
			if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if !test.endless {
				early("ended before the end of the stream was read")
				done()
			}
			select {
			case <-ended:
			case <-time.After(late / 2):
				t.Fatal("does not end")
			}
		})
	}
}

// TestEndWaitsForStreams: a stream of the server's counts before anybody has begun to read it.
func TestEndWaitsForStreams(t *testing.T) {
	a := newArrivals()
	if a.behind() {
		t.Error("behind what never came")
	}
	a.came(3, 5, false)
	if !a.behind() {
		t.Error("the control stream is not waited for")
	}
	a.came(0, 5, true)
	_, done := a.from(3, strings.NewReader(""))
	done()
	if a.behind() {
		t.Error("behind on streams that nobody reads")
	}
}
