package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// line is one line of the second place: a seal, and the marks of the entries that it adds to the line before.
//
//	<seal> <marks, hex, one after another>
type line struct {
	seal  Seal
	marks []mark // of the entries Number-len+1 to Number
}

func (l line) String() string {
	b := make([]byte, 0, len(l.marks)*16)
	for _, m := range l.marks {
		b = hex.AppendEncode(b, m[:])
	}
	return l.seal.String() + " " + string(b)
}

func parseLine(text string) (line, error) {
	i := strings.LastIndexByte(text, ' ')
	if i < 0 {
		return line{}, errForm
	}
	s, err := ParseSeal(text[:i])
	if err != nil {
		return line{}, err
	}
	b, err := hex.DecodeString(text[i+1:])
	size := len(mark{})
	if err != nil || len(b) == 0 || len(b)%size != 0 || uint64(len(b)/size) > s.Number {
		return line{}, errors.New("its marks are not 16 hexadecimal digits for each entry")
	}
	l := line{seal: s, marks: make([]mark, len(b)/size)}
	for i := range l.marks {
		l.marks[i] = mark(b[i*size:])
	}
	if l.String() != text {
		return line{}, errForm
	}
	return l, nil
}

// readPlace is the lines of a second place as text. A last line without its end was cut by a crash while it was
// written; it is left out, and whole is how many bytes come before it.
func readPlace(r io.Reader) (lines []string, whole int64, err error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, err
	}
	text := string(b)
	end := strings.LastIndexByte(text, '\n') + 1
	if end > 0 {
		lines = strings.Split(text[:end-1], "\n")
	}
	return lines, int64(end), nil
}

// place is the second place, open for appending.
type place struct {
	file *os.File
	size int64
}

// openPlace opens the second place, or makes an empty one, and gives its lines.
func openPlace(path string) (*place, []string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	lines, whole, err := readPlace(f)
	if err == nil {
		err = errors.Join(f.Truncate(whole), f.Sync(), syncDir(filepath.Dir(path)))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &place{file: f, size: whole}, lines, nil
}

// append adds the line, durably. After an error the file is as before, as far as the disk lets it.
func (p *place) append(l line) error {
	text := l.String() + "\n"
	_, err := p.file.WriteString(text)
	if err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("second place: %w", err), p.file.Truncate(p.size))
	}
	p.size += int64(len(text))
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
