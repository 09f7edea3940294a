//go:build !unix

package tcpio

import "net"

// A Socket is not known here.
type Socket struct{}

// An Answer is what came of a request.
type Answer struct {
	Early      bool
	Sent, Read int
	Err        error
}

// Of returns nil.
func Of(net.Conn) *Socket { return nil }

func (*Socket) Read([]byte) (int, error)           { panic("no socket") }
func (*Socket) TryRead([]byte) (int, bool, error)  { panic("no socket") }
func (*Socket) Quiet() bool                        { panic("no socket") }
func (*Socket) TryWrite([]byte, bool) (int, error) { panic("no socket") }
func (*Socket) Write([]byte) (int, error)          { panic("no socket") }
func (*Socket) Begin([]byte) (int, bool, error)    { panic("no socket") }
func (*Socket) Stand(func() bool) error            { panic("no socket") }
func (*Socket) TakeIn([]byte) (int, bool, error)   { panic("no socket") }
func (*Socket) Ask(_, _, _ []byte) Answer          { panic("no socket") }
