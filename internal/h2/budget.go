package h2

// A budget bounds what a client can have done for nothing: frames that cost us work and bring nobody anything. They use it up;
// useful work, and time, fill it again. A client that behaves never comes near the end of it.
type budget struct {
	points  int
	content int // bytes that have not earned a point yet
}

const (
	fullBudget = 10_000

	costFault        = 50 // a request or frame that was refused with RST_STREAM
	costReset        = 50 // the client gives up on a request that was not answered yet (rapid reset)
	costRefused      = 10 // a stream too many: a client may not know the limit yet
	costSettings     = 20 // and GOAWAY
	costPing         = 5
	costContinuation = 5
	costEmptyData    = 5
	costPadding      = 1 // DATA that is rather padding than content
	costWindowUpdate = 1
	costPriority     = 1
	costIgnored      = 1 // frames of unknown types, or on closed streams

	earnedAnswer    = 30 // an answer completed
	earnedFrame     = 2  // DATA sent: it is answered by WINDOW_UPDATE, often two
	usefulFrame     = 256
	earnedPerPoint  = 1024 // bytes of content received
	maxControl      = 64 << 10
	maxContinuation = 256 // frames of one header section
)

func (b *budget) fill() { b.points = fullBudget }

func (b *budget) earn(n int) {
	if n > 0 {
		b.points = min(b.points+n, fullBudget)
	}
}

// received counts content.
func (b *budget) received(n int) {
	b.content += n
	if b.content >= earnedPerPoint {
		b.earn(b.content / earnedPerPoint)
		b.content %= earnedPerPoint
	}
}

func (b *budget) spend(n int) *ConnError {
	b.points -= n
	if b.points < 0 {
		return connError(EnhanceYourCalm, "too many frames that bring nobody anything")
	}
	return nil
}
