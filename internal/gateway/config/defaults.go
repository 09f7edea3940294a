package config

import "time"

// The address of the admin listener, where the section is there and names none.
const adminAddress = "127.0.0.1:8421"

func (f *File) defaults() {
	f.Mode = "enforce"
	f.UnknownHost = 421
	f.State = "./state"
	f.Log = LogSpec{Format: "json", Output: "stderr", Level: "info", Access: true}
	f.Timeouts = TimeoutsSpec{
		Handshake: Duration(10 * time.Second),
		Header:    Duration(10 * time.Second),
		Body:      Duration(60 * time.Second),
		Idle:      Duration(2 * time.Minute),
		Connect:   Duration(5 * time.Second),
		FirstByte: Duration(60 * time.Second),
		Drain:     Duration(30 * time.Second),
	}
}

func (l *ListenerSpec) defaults() { l.Scheme, l.OriginFrame = "https", "auto" }

func (s *SiteSpec) defaults() { s.Coalesce, s.HTTP = true, "redirect" }

func (t *TLSSpec) defaults() { t.ClientAuth, t.MinVersion = "none", "1.2" }

func (r *RespondSpec) defaults() { r.Status = 200 }

func (r *RedirectSpec) defaults() { r.Status = 308 }

func (a *AdminSpec) defaults() { a.Address = adminAddress }

// complete fills in the defaults that depend on other values. It runs before anything is checked.
func (f *File) complete() {
	if f.Listeners == nil {
		f.Listeners = make([]ListenerSpec, 2)
		for i := range f.Listeners {
			f.Listeners[i].defaults()
		}
		f.Listeners[0].Address = ":443"
		f.Listeners[1].Address, f.Listeners[1].Scheme = ":80", "http"
	}
	for i := range f.Listeners {
		l := &f.Listeners[i]
		if l.Name == "" {
			l.Name = l.Address
		}
		if l.Protocols == nil && l.Scheme == "http" {
			l.Protocols = []string{"h1", "h2"}
		} else if l.Protocols == nil {
			l.Protocols = []string{"h1", "h2", "h3"}
		}
	}
	for i := range f.Sites {
		if s := &f.Sites[i]; s.Name == "" && len(s.Hosts) > 0 {
			s.Name = s.Hosts[0]
		}
	}
}
