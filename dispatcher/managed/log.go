package managed

import (
	"io"
	"os"
	"strings"
)

// lastRun is what the log says about the last run of the server, as far as it stands in the last 64 kB; "" without a log.
func (s *Server) lastRun() string {
	f, err := os.Open(s.path(logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	const tail = 64 << 10
	if i, err := f.Stat(); err == nil && i.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	if i := strings.LastIndex(string(text), "Redis is starting"); i >= 0 {
		text = text[i:]
	}
	return string(text)
}

// torn tells whether a run ended because it could not read its append-only file.
func torn(run string) bool {
	return strings.Contains(run, "reading the append only file") || strings.Contains(run, "Internal error in RDB")
}

// full tells whether a run ended because nothing more could be written.
func full(run string) bool {
	return strings.Contains(run, "No space left on device") || strings.Contains(run, "Disk quota exceeded")
}

// lastLine is the last line of a run, without process id and time.
func lastLine(run string) string {
	run = strings.TrimSpace(run)
	run = run[strings.LastIndexByte(run, '\n')+1:]
	if _, after, ok := strings.Cut(run, " # "); ok {
		return after
	}
	if run == "" {
		return "it said nothing"
	}
	return run
}
