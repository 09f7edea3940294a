package h2

import (
	"bytes"
	"strconv"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/usher-http/usher/internal/message"
)

// browser is what a browser sends with each request.
var browser = get(
	"sec-ch-ua", `"Chromium";v="156", "Not_A Brand";v="24"`,
	"sec-ch-ua-mobile", "?0",
	"sec-ch-ua-platform", `"Linux"`,
	"upgrade-insecure-requests", "1",
	"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
	"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
	"sec-fetch-site", "same-origin",
	"sec-fetch-mode", "navigate",
	"sec-fetch-user", "?1",
	"sec-fetch-dest", "document",
	"referer", "https://a.example/start",
	"accept-encoding", "gzip, deflate, br, zstd",
	"accept-language", "en-GB,en;q=0.9",
	"cookie", "session=0123456789abcdef0123456789abcdef; theme=dark",
)

func answerFields(length int) message.Fields {
	return message.Fields{
		{Name: "content-type", Value: "text/html; charset=utf-8"},
		{Name: "content-length", Value: strconv.Itoa(length)},
		{Name: "date", Value: "Mon, 01 Jan 2026 00:00:00 GMT"},
		{Name: "cache-control", Value: "max-age=60"},
		{Name: "vary", Value: "accept-encoding"},
		{Name: "server", Value: "usher"},
	}
}

// A responder answers each request in place.
type responder struct {
	fields message.Fields
	body   []byte
}

func (r *responder) Request(st *Stream, _ *message.Request) {
	st.Respond(200, r.fields, false)
	st.Write(r.body)
	st.Close(nil)
	st.Release()
}
func (*responder) TooLarge(*Stream)                   {}
func (*responder) Malformed(*message.Request, string) {}
func (*responder) Data(*Stream, []byte)               {}
func (*responder) End(*Stream, message.Fields)        {}
func (*responder) Reset(*Stream)                      {}
func (*responder) Writable(*Stream)                   {}
func (*responder) Pong()                              {}

// benchmarkGet answers requests that a client with a warm table sends, perRead of them with each read.
func benchmarkGet(b *testing.B, pairs []string, size, perRead int) {
	s := NewSession(nil, &responder{answerFields(size), bytes.Repeat([]byte("x"), size)}, nil)
	var in, hbuf bytes.Buffer
	w := http2.NewFramer(&in, nil)
	enc := hpack.NewEncoder(&hbuf)
	in.WriteString(clientPreface)
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
	w.WriteWindowUpdate(0, maxWindow-defaultWindow)
	s.Feed(in.Bytes())
	in.Reset()
	id := uint32(1)
	next := func() []byte {
		hbuf.Reset()
		for i := 0; i < len(pairs); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		in.Reset()
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: hbuf.Bytes()})
		id += 2
		return in.Bytes()
	}
	var spare []byte
	for range 3 { // until both tables are warm
		s.Feed(next())
		spare = s.Output(spare)
	}
	frame := bytes.Clone(next())
	var sent int64
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s.sendWindow = maxWindow // the client's WINDOW_UPDATEs are not what is measured
		id += 2
		frame[5], frame[6], frame[7], frame[8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		if err := s.Feed(frame); err != nil {
			b.Fatal(err)
		}
		if i%perRead == 0 || size > 16<<10 {
			for out := s.Output(spare); len(out) > 0; out = s.Output(spare) {
				spare = out
				sent += int64(len(out))
			}
		}
	}
	if sent/int64(b.N) < int64(size)/2 && b.N > 100 {
		b.Fatalf("%d bytes were put out for %d answers of %d", sent, b.N, size)
	}
}

func BenchmarkGet(b *testing.B) {
	b.Run("4fields/100B", func(b *testing.B) { benchmarkGet(b, get(), 100, 10) })
	b.Run("browser/100B", func(b *testing.B) { benchmarkGet(b, browser, 100, 10) })
	b.Run("browser/100B/alone", func(b *testing.B) { benchmarkGet(b, browser, 100, 1) })
	b.Run("browser/64KiB", func(b *testing.B) { benchmarkGet(b, browser, 64<<10, 1) })
}

// BenchmarkEncoder compares the encoder with x/net's on six fields of an answer, with and without one that is always different.
func BenchmarkEncoder(b *testing.B) {
	etags := make([]string, 1000)
	for i := range etags {
		etags[i] = strconv.Itoa(i * 1234567)
	}
	for _, different := range []bool{false, true} {
		fields, name := answerFields(100), "same"
		if different {
			fields, name = append(fields, message.Field{Name: "etag"}), "different"
		}
		change := func(i int) {
			if different {
				fields[6].Value = etags[i%len(etags)]
			}
		}
		b.Run("own/"+name, func(b *testing.B) {
			var e encoder
			e.init()
			var dst []byte
			b.ReportAllocs()
			for i := range b.N {
				change(i)
				dst = e.section(dst[:0], 200, fields)
			}
			b.ReportMetric(float64(len(dst)), "bytes")
		})
		b.Run("xnet/"+name, func(b *testing.B) {
			var buf bytes.Buffer
			e := hpack.NewEncoder(&buf)
			b.ReportAllocs()
			for i := range b.N {
				change(i)
				buf.Reset()
				e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
				for _, f := range fields {
					e.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value})
				}
			}
			b.ReportMetric(float64(buf.Len()), "bytes")
		})
	}
}

// BenchmarkPost takes in 64 KiB of content.
func BenchmarkPost(b *testing.B) {
	s := NewSession(nil, &sink{}, nil)
	var in bytes.Buffer
	w := http2.NewFramer(&in, nil)
	in.WriteString(clientPreface)
	w.WriteSettings()
	s.Feed(in.Bytes())
	in.Reset()
	block := []byte{0x83, 0x87, 0x41, 1, 'a', 0x84} // without a table
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: append([]byte{}, block...)})
	for i := range 4 {
		w.WriteData(1, i == 3, make([]byte, 16<<10))
	}
	wire := in.Bytes()
	id := uint32(1)
	var spare []byte
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(wire); {
			h := parseHead(wire[at:])
			f := wire[at:]
			f[5], f[6], f[7], f[8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
			at += headLen + h.length
		}
		if err := s.Feed(wire); err != nil {
			b.Fatal(err)
		}
		spare = s.Output(spare)
		id += 2
	}
}

type sink struct{ responder }

func (*sink) Request(*Stream, *message.Request) {}
func (*sink) Data(st *Stream, p []byte)         { st.Consume(len(p)) }
func (*sink) End(st *Stream, _ message.Fields) {
	st.Respond(204, nil, true)
	st.Release()
}
