package verify

import (
	"io"
	"os"
	"time"
)

// A carrier that still runs may be in the middle of a line: the rest of it is there within tailTries · tailPause, twice the
// time that the log promises. What is cut after that was cut by a kill.
const (
	tailTries = 20
	tailPause = 5 * time.Millisecond
)

// tail reads a log to the end of a line, also while it is being written.
type tail struct {
	file *os.File
	last byte
}

func (t *tail) Read(b []byte) (n int, err error) {
	for range tailTries {
		n, err = t.file.Read(b)
		if n > 0 {
			t.last = b[n-1]
		}
		if err != io.EOF || t.last == '\n' || t.last == 0 {
			return n, err
		}
		time.Sleep(tailPause)
	}
	return n, err
}
