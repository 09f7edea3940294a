package h2

import "encoding/binary"

// The frames of RFC 9113 section 6, and those of the extensions that are spoken here.
const (
	frameData           = 0x0
	frameHeaders        = 0x1
	framePriority       = 0x2
	frameReset          = 0x3
	frameSettings       = 0x4
	framePushPromise    = 0x5
	framePing           = 0x6
	frameGoAway         = 0x7
	frameWindowUpdate   = 0x8
	frameContinuation   = 0x9
	framePriorityUpdate = 0x10 // RFC 9218 section 7.1
)

const (
	flagAck        = 0x1 // SETTINGS, PING
	flagEndStream  = 0x1 // DATA, HEADERS
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	headLen = 9 // of a frame (RFC 9113 section 4.1)
	flagsAt = 4 // within it

	// maxFrame is how long a payload may be, both ways: SETTINGS_MAX_FRAME_SIZE at its least, which we leave so. It is also the
	// longest TLS record; longer frames would gain nothing.
	maxFrame = 16384

	maxWindow     = 1<<31 - 1
	defaultWindow = 65535
	maxStreamID   = 1<<31 - 1
)

// clientPreface is what a connection begins with (RFC 9113 section 3.4).
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A head is the header of a frame.
type head struct {
	length int
	kind   byte
	flags  byte
	id     uint32
}

func parseHead(p []byte) head {
	_ = p[headLen-1]
	return head{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		kind:   p[3],
		flags:  p[flagsAt],
		// "Reserved: ... MUST be ignored when receiving."
		id: binary.BigEndian.Uint32(p[5:]) & maxStreamID,
	}
}

func (h head) has(flag byte) bool { return h.flags&flag != 0 }

func appendHead(dst []byte, length int, kind, flags byte, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), kind, flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// putLength writes the length of the frame that p begins with.
func putLength(p []byte, length int) {
	p[0], p[1], p[2] = byte(length>>16), byte(length>>8), byte(length)
}

// The settings of RFC 9113 section 6.5.2, RFC 8441 section 3 and RFC 9218 section 2.1.
const (
	settingHeaderTableSize      = 0x1
	settingEnablePush           = 0x2
	settingMaxConcurrentStreams = 0x3
	settingInitialWindowSize    = 0x4
	settingMaxFrameSize         = 0x5
	settingMaxHeaderListSize    = 0x6
	settingEnableConnect        = 0x8
	settingNoPriorities         = 0x9
)

const settingLen = 6

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, id), value)
}
