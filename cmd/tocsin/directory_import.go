package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// importTries is how often a stream that breaks is gone on with.
const importTries = 5

func newImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE", Short: "Replace the directory by a file; faulty rows are named and left out", Args: exactly(1),
		Long: "The header of a CSV file is: " + geofence.CSVHeader + "\nA file of columns is messages tocsin.v1.ImportRequest, each behind its length as a varint: what a system" +
			" that keeps people would stream by itself.\nAn import that broke off goes on where it was when it is repeated with the same --key within ten minutes.",
		Example: "  tocsin directory import people.csv\n  tocsin directory import people.csv --bad left-out.txt\n  tocsin directory import --columns people.columns",
	}
	k := calls(c).answers(c).changes(c)
	columns := c.Flags().Bool("columns", false, "the file holds columns, not CSV")
	badPath := c.Flags().String("bad", "", "file for all rows that cannot be read and the first 100 that the engine leaves out, one a line (default: the standard error)")
	c.RunE = func(c *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		badTo, kept, err := badRows(c, *badPath)
		if err != nil {
			return err
		}
		return k.act(func(conn *grpc.ClientConn, key string) error {
			i := importing{api: pb.NewDirectoryServiceClient(conn), key: key, file: f, form: csvForm, say: c.ErrOrStderr(), tty: terminal(c.ErrOrStderr())}
			if *columns {
				i.form = columnsForm
			}
			before, _ := i.api.Stats(c.Context(), &pb.StatsRequest{}) // nobody may be in it yet, and no import waits for this
			r, unread, err := i.run(c.Context())
			if err != nil {
				return errors.Join(err, kept())
			}
			left := inFile(r, unread)
			if *badPath != "" { // the answer shows them too
				unread = append(unread, left...)
			}
			for _, b := range unread {
				fmt.Fprintln(badTo, b)
			}
			if err := kept(); err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Imported(r, before.GetPeople())...)
		})
	}
	return c
}

// inFile gives the rows that the engine names, which counts what it was sent, the places that they have in the file; unread
// is those that were not sent, ascending.
func inFile(r *pb.ImportResponse, unread []geofence.BadRow) (left []geofence.BadRow) {
	for _, b := range r.GetBad() {
		for _, u := range unread {
			if int64(u.Row) <= b.GetRow() {
				b.Row++
			}
		}
		left = append(left, geofence.BadRow{Row: int(b.GetRow()), Field: b.GetField(), Rule: b.GetRule(), Detail: b.GetDetail()})
	}
	return left
}

// badRows is where rows that cannot be read are written, and what ends it.
func badRows(c *cobra.Command, path string) (io.Writer, func() error, error) {
	if path == "" {
		return c.ErrOrStderr(), func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	w := bufio.NewWriter(f)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// form is how rows stand in a file.
type form struct {
	read     func(io.Reader, func(geofence.Columns) error) ([]geofence.BadRow, error)
	shortest int64 // about what a row takes: it tells how many rows room is made for
}

var (
	csvForm     = form{geofence.ReadCSV, 56}
	columnsForm = form{readColumns, 27}
)

// importing is one import of a file, over as many streams as it takes.
type importing struct {
	api  pb.DirectoryServiceClient
	key  string
	file *os.File
	form form
	say  io.Writer
	tty  bool
}

// run streams the file, and goes on with it where a stream breaks. unread is rows that were no rows, by their place in
// the file.
func (i *importing) run(ctx context.Context) (*pb.ImportResponse, []geofence.BadRow, error) {
	for try := 1; ; try++ {
		state, err := i.api.ImportState(ctx, &pb.ImportStateRequest{Key: i.key})
		if err == nil {
			if state.GetRows() > 0 {
				fmt.Fprintf(i.say, "going on after %d rows\n", state.GetRows())
			}
			var r *pb.ImportResponse
			var unread []geofence.BadRow
			if r, unread, err = i.stream(ctx, state.GetRows()); err == nil {
				return r, unread, nil
			}
		}
		if status.Code(err) != codes.Unavailable || try == importTries {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

// stream sends the rows of the file from offset on.
func (i *importing) stream(ctx context.Context, offset int64) (*pb.ImportResponse, []geofence.BadRow, error) {
	ctx, cancel := context.WithCancel(ctx) // a stream that is not ended is broken off, and changes nothing
	defer cancel()
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	in, total, done := i.meter()
	defer done()
	stream, err := i.api.Import(ctx)
	if err != nil {
		return nil, nil, err
	}
	skip, first := offset, true
	unread, err := i.form.read(in, func(all geofence.Columns) error {
		rows := int64(all.Len())
		if skip >= rows {
			skip -= rows
			return nil
		}
		p := all.Slice(int(skip), int(rows))
		skip = 0
		next := chunkOf(p)
		if first {
			next.Key, next.Total, next.Offset, first = i.key, total, offset, false
		}
		return stream.Send(next)
	})
	if err == nil && first && offset > 0 { // the stream broke when all was sent: the engine is to go on all the same
		err = stream.Send(&pb.ImportRequest{Key: i.key, Total: total, Offset: offset})
	}
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: the engine has ended the stream; its answer says why
		return nil, nil, err
	}
	r, err := stream.CloseAndRecv()
	return r, unread, err
}

// meter shows how much of the file was read: a bar on a terminal, else a line now and then. total is about how many rows
// there are.
func (i *importing) meter() (in io.Reader, total int64, done func()) {
	info, err := i.file.Stat()
	if err != nil || info.Size() == 0 {
		return i.file, 0, func() {}
	}
	total = min(info.Size()/i.form.shortest, 100_000_000)
	if !i.tty {
		return &lines{in: i.file, size: info.Size(), out: i.say, said: time.Now()}, total, func() {}
	}
	p := mpb.New(mpb.WithOutput(i.say))
	bar := p.AddBar(info.Size(), mpb.PrependDecorators(decor.Name(info.Name()+" ")), mpb.AppendDecorators(decor.Percentage(), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	r, err := bar.ProxyReader(i.file)
	if err != nil {
		return i.file, total, p.Shutdown
	}
	return r, total, func() {
		bar.Abort(false)
		p.Wait()
	}
}

// linesEvery is the time between two lines of progress.
const linesEvery = 5 * time.Second

// lines says how much was read, a line now and then.
type lines struct {
	in         io.Reader
	read, size int64
	out        io.Writer
	said       time.Time
}

func (l *lines) Read(b []byte) (int, error) {
	n, err := l.in.Read(b)
	l.read += int64(n)
	if now := time.Now(); now.Sub(l.said) >= linesEvery {
		l.said = now
		fmt.Fprintf(l.out, "%d %% read\n", 100*l.read/l.size)
	}
	return n, err
}
