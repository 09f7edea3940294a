package names

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of what is read.
const (
	mostDepth = 10      // files that include each other
	mostFiles = 2000    // in all
	mostBytes = 4 << 20 // of one file
)

// Nginx reads the server names of the servers that listen with TLS from an nginx.conf and the files that it includes.
func Nginx(file string) (List, error) {
	n := &nginx{root: filepath.Dir(file)}
	if err := n.file(file, 0, &block{}); err != nil {
		return List{}, err
	}
	for _, b := range n.servers {
		n.server(b)
	}
	return n.list, nil
}

type nginx struct {
	root    string // relative includes begin here
	files   int
	servers []*block
	tls     map[string]bool // places at which some server listens with ssl: all of them do then
	list    List
}

// A block is a server block as far as it was read; outside of one it gathers nothing that counts.
type block struct {
	server bool
	apart  bool // within stream or mail: no HTTP
	names  []string
	places []string // of listen directives: "*:443", "[::1]:443"
	secure []string // those with ssl or quic
	ssl    bool     // ssl on, as it was before nginx 1.15
}

func (n *nginx) file(path string, depth int, b *block) error {
	if n.files++; n.files > mostFiles || depth > mostDepth {
		return fmt.Errorf("%s: too many files, or they include each other", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > mostBytes {
		return fmt.Errorf("%s: %d bytes are too many for a configuration", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s := &scanner{text: string(text)}
	if err := n.directives(s, path, depth, b); err != nil {
		return err
	}
	if s.closed {
		return fmt.Errorf("%s:%d: a } without its {", path, s.line())
	}
	return nil
}

// directives reads up to the end of the text or of the block.
func (n *nginx) directives(s *scanner, path string, depth int, b *block) error {
	for {
		words, end, err := s.directive()
		switch {
		case err != nil:
			return fmt.Errorf("%s:%d: %w", path, s.line(), err)
		case end == 0 && len(words) > 0:
			return fmt.Errorf("%s:%d: %q is not finished", path, s.line(), words[0])
		case end == 0:
			return nil
		case end == '}':
			s.closed = true
			return nil
		case len(words) == 0:
			continue
		case end == '{':
			err = n.inner(s, path, depth, words, b)
		case words[0] == "include" && len(words) == 2:
			err = n.include(words[1], path, s.line(), depth, b)
		default:
			b.directive(words)
		}
		if err != nil {
			return err
		}
	}
}

// inner reads a block. A location within a server has no names of its own.
func (n *nginx) inner(s *scanner, path string, depth int, words []string, outer *block) error {
	line := s.line()
	b := &block{apart: outer.apart || words[0] == "stream" || words[0] == "mail"}
	b.server = words[0] == "server" && len(words) == 1 && !outer.server && !b.apart
	if strings.HasSuffix(words[0], "_by_lua_block") {
		return s.skipBlock()
	}
	if err := n.directives(s, path, depth, b); err != nil {
		return err
	}
	if !s.closed {
		return fmt.Errorf("%s:%d: %q is not closed", path, line, words[0])
	}
	s.closed = false
	n.servers = append(n.servers, b)
	for _, place := range b.secure {
		if n.tls == nil {
			n.tls = map[string]bool{}
		}
		n.tls[place] = true
	}
	return nil
}

func (n *nginx) include(pattern, path string, line, depth int, b *block) error {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(n.root, pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("%s:%d: include: %w", path, line, err)
	}
	if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		return fmt.Errorf("%s:%d: include: %s: no such file", path, line, pattern)
	}
	for _, file := range files {
		if err := n.file(file, depth+1, b); err != nil {
			return err
		}
	}
	return nil
}

func (b *block) directive(words []string) {
	if !b.server {
		return
	}
	switch words[0] {
	case "server_name":
		b.names = append(b.names, words[1:]...)
	case "listen":
		if len(words) < 2 || strings.HasPrefix(words[1], "unix:") {
			return
		}
		place := listenPlace(words[1])
		b.places = append(b.places, place)
		if slices.Contains(words, "ssl") || slices.Contains(words, "quic") {
			b.secure = append(b.secure, place)
		}
	case "ssl":
		b.ssl = len(words) == 2 && words[1] == "on"
	}
}

// listenPlace is the address and port of a listen directive, alike for all ways to say any address of IPv4.
func listenPlace(address string) string {
	port := listenPort(address)
	host := strings.TrimSuffix(address, ":"+port)
	if host == port || host == "" || host == "0.0.0.0" {
		host = "*"
	}
	return host + ":" + port
}

// ports are where a server listens with TLS.
func (n *nginx) ports(b *block) (list []string) {
	for _, place := range b.places {
		if b.ssl || n.tls[place] {
			list = append(list, place[strings.LastIndexByte(place, ':')+1:])
		}
	}
	if b.ssl && len(list) == 0 {
		list = []string{"443"}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// listenPort returns the port of "443", "*:443", "[::]:443", "127.0.0.1".
func listenPort(address string) string {
	if _, port, err := net.SplitHostPort(address); err == nil {
		return port
	}
	if address != "" && strings.Trim(address, "0123456789") == "" {
		return address
	}
	return "80" // nginx's default, with ssl too
}

func (n *nginx) server(b *block) {
	ports := n.ports(b)
	if len(ports) == 0 {
		return
	}
	for _, name := range b.names {
		switch {
		case name == "" || name == "_":
		case strings.HasPrefix(name, "."): // the name and all below it
			n.list.Skipped = append(n.list.Skipped, "*"+name)
			name = name[1:]
			fallthrough
		case !strings.ContainsAny(name, "*~$"):
			for _, port := range ports {
				n.list.add(strings.ToLower(name), port)
			}
		default:
			n.list.Skipped = append(n.list.Skipped, name)
		}
	}
}

// A scanner splits nginx's configuration into words.
type scanner struct {
	text   string
	at     int
	closed bool // the } of the block that was read
}

func (s *scanner) line() int { return 1 + strings.Count(s.text[:min(s.at, len(s.text))], "\n") }

// directive reads words up to ; { } or, as 0, the end.
func (s *scanner) directive() (words []string, end byte, err error) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		case '#':
			i := strings.IndexByte(s.text[s.at:], '\n')
			if i < 0 {
				i = len(s.text) - s.at
			}
			s.at += i
		case ';', '{', '}':
			s.at++
			return words, c, nil
		default:
			word, err := s.word()
			if err != nil {
				return nil, 0, err
			}
			words = append(words, word)
		}
	}
	return words, 0, nil
}

var errQuote = errors.New("a quotation mark is not closed")

func (s *scanner) word() (string, error) {
	var b strings.Builder
	quote := s.text[s.at]
	if quote != '"' && quote != '\'' {
		quote = 0
	} else {
		s.at++
	}
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		switch {
		case c == '\\' && s.at+1 < len(s.text):
			if next := s.text[s.at+1]; quote == 0 || next != quote {
				b.WriteByte(c)
			}
			s.at++
			b.WriteByte(s.text[s.at])
		case quote != 0 && c == quote:
			s.at++
			return b.String(), nil
		case quote == 0 && c == '$' && strings.HasPrefix(s.text[s.at:], "${"):
			end := strings.IndexByte(s.text[s.at:], '}')
			if end < 0 {
				return "", errors.New("${ is not closed")
			}
			b.WriteString(s.text[s.at : s.at+end+1])
			s.at += end
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", errQuote
	}
	return b.String(), nil
}

// skipBlock leaves out what is not nginx's own language, up to the } that fits.
func (s *scanner) skipBlock() error {
	for depth := 1; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				s.at++
				return nil
			}
		}
	}
	return fmt.Errorf("line %d: a { is not closed", s.line())
}
