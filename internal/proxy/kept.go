package proxy

import (
	"github.com/usher-http/usher/internal/message"
)

// maxKept is how much content is kept so that it can be sent again.
const maxKept = 64 << 10

// kept is what was read of a request's content so far, where it is small, so that it can be sent once more.
type kept struct {
	data     []byte
	taken    bool // something was read of the Body
	over     bool // more than is kept was read
	whole    bool // data is all of the content
	trailers message.Fields
}

func (k *kept) reset() {
	data := k.data[:0]
	*k = kept{data: data}
}

func (k *kept) add(p []byte) {
	k.taken = true
	switch {
	case k.over:
	case len(k.data)+len(p) > maxKept:
		k.over, k.data = true, nil
	default:
		k.data = append(k.data, p...)
	}
}

// complete says that nothing more comes.
func (k *kept) complete(trailers message.Fields) {
	k.taken, k.whole, k.trailers = true, !k.over, trailers
}

// again reports whether the content can be sent (once more): there is none, or nothing of it was read, or all of it is here.
func (k *kept) again(r *message.Request) bool {
	return !hasContent(r) || !k.taken || k.whole
}

// small reports whether the content is none, or small and complete.
func (k *kept) small(r *message.Request) bool {
	return !hasContent(r) || k.whole
}

func hasContent(r *message.Request) bool { return r.Body != nil && r.Length != 0 && !tunnels(r) }
