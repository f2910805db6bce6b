package verify

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	tocsinv1 "tocsin/proto/tocsin/v1"

	"tocsin/loadtest/carrierlog"
)

// perfect is what city's verdict says when nothing is spoilt.
var perfect = Sums{InArea: 44, NoAddress: 1, OptedOut: 1, LaneSums: LaneSums{Expected: 42, Got: 42}, Messages: 84}

func TestEverybodyGotTheirWords(t *testing.T) {
	w := city(t)
	v := w.run()
	if !v.OK || len(v.Faults) != 0 {
		t.Fatalf("faults: %v", v.Faults)
	}
	if d := cmp.Diff(perfect, v.Sums); d != "" {
		t.Fatal(d)
	}
	one := v.Warnings[0]
	if one.SharedText || one.TimeToFirstMS != 30 || one.TimeToLastS < 4 || one.TimeToLastS > 4.1 {
		t.Fatalf("%+v", one)
	}
	if d := cmp.Diff([]int64{10, 10, 10, 10, 2}, one.PeopleBySecond); d != "" {
		t.Fatal(d)
	}
	if a := v.Accounts[0]; a.Name != "mobile" || a.Messages != 44 || a.Accepted != 44 || a.MaxInAnySecond != 14 || a.MessagesPerS == 0 {
		t.Fatalf("%+v", a)
	}
}

// TestPlantedFaults spoils a perfect run in one way each, and wants the verdict to name it and nothing else.
func TestPlantedFaults(t *testing.T) {
	submits := func(w *world, account string) (at []int) {
		for i, l := range w.lines[account] {
			if l.Event == carrierlog.Submit {
				at = append(at, i)
			}
		}
		return at
	}
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  func(s *Sums)
		fault string
	}{
		{"a line is missing", func(w *world) {
			at := submits(w, "mobile")[3]
			w.lines["mobile"] = append(w.lines["mobile"][:at], w.lines["mobile"][at+1:]...)
		}, func(s *Sums) { s.Got--; s.Lost++; s.Incomplete++; s.Messages-- }, "1 people lost"},
		{"a person is missing", func(w *world) {
			at := submits(w, "mobile")[2]
			w.lines["mobile"] = append(w.lines["mobile"][:at], w.lines["mobile"][at+2:]...)
		}, func(s *Sums) { s.Got--; s.Lost++; s.Messages -= 2 }, "1 people lost"},
		{"a line stands twice", func(w *world) {
			w.lines["mobile"] = append(w.lines["mobile"], w.lines["mobile"][submits(w, "mobile")[1]])
		}, func(s *Sums) { s.Doubled++; s.ExtraMessages++; s.Messages++ }, "1 messages too many to 1 people"},
		{"a person is told twice", func(w *world) { w.hand("unicom", 1, chinese, release.Add(time.Minute)) },
			func(s *Sums) { s.Doubled++; s.ExtraMessages += 2; s.Messages += 2 }, "2 messages too many to 1 people"},
		{"a number of no directory", func(w *world) { w.hand("unicom", 900, chinese, release.Add(time.Minute)) },
			func(s *Sums) { s.WrongPerson++; s.Messages += 2 }, "1 people got what was not for them"},
		{"one piece to a person outside", func(w *world) {
			at := w.hand("mobile", 44, chinese, release.Add(time.Minute))
			w.lines["mobile"] = w.lines["mobile"][:at+1]
		}, func(s *Sums) { s.WrongPerson++; s.Messages++ }, "1 people got what was not for them"},
		{"a person who opted out", func(w *world) { w.hand("mobile", 43, chinese, release.Add(time.Minute)) },
			func(s *Sums) { s.WrongPerson++; s.Messages += 2 }, "1 people got what was not for them"},
		{"a byte is changed", func(w *world) {
			coding, segs := segments(chinese)
			b := bytes.Clone(segs[1])
			b[7] ^= 1
			at := submits(w, "mobile")[3]
			// The text line has to stand before the line that uses it.
			l := w.lines["mobile"][at]
			w.lines["mobile"] = append(w.lines["mobile"][:at], w.lines["mobile"][at+1:]...)
			l.Text = w.textNo("mobile", coding, b)
			w.lines["mobile"] = append(w.lines["mobile"], l)
		}, func(s *Sums) { s.Got--; s.Lost++; s.WrongText++ }, "1 people got what are not the words of a warning"},
		{"the words of another language", func(w *world) {
			for _, at := range submits(w, "mobile")[:2] { // the first at mobile reads English
				if w.lines["mobile"][at].To != 99900000002 {
					panic("not the person that the test means")
				}
			}
			at := submits(w, "mobile")[0]
			w.lines["mobile"] = append(w.lines["mobile"][:at], w.lines["mobile"][at+2:]...)
			w.hand("mobile", 2, chinese, release.Add(time.Second))
		}, func(s *Sums) { s.Got--; s.Lost++; s.WrongText++ }, "1 people got what are not the words of a warning"},
		{"before the release", func(w *world) {
			w.lines["unicom"][submits(w, "unicom")[0]].Time = release.UnixNano() - 1
		}, func(s *Sums) { s.BeforeApproval++ }, "1 messages before the release"},
		{"after the expiry", func(w *world) {
			w.lines["unicom"][submits(w, "unicom")[1]].Time = expiry.UnixNano() + 1
		}, func(s *Sums) { s.AfterExpiry++ }, "1 messages after the expiry"},
		{"after a cancel", func(w *world) {
			w.warnings[0].State = tocsinv1.State_STATE_CANCELLED
			w.warnings[0].EndedAt = timestamppb.New(release.Add(3 * time.Second))
			w.lines["mobile"] = w.lines["mobile"][:len(w.lines["mobile"])-2]
		}, func(s *Sums) { s.Got--; s.Stopped++; s.Messages -= 2; s.AfterStop = 18 }, "18 messages after the stop"},
		{"while it is held", func(w *world) { // ten people a second, two messages each
			w.warnings[0].Holds = []*tocsinv1.Span{
				{From: timestamppb.New(release.Add(-time.Second)), To: timestamppb.New(release)},
				{From: timestamppb.New(release.Add(1030*time.Millisecond - stopGrace)), To: timestamppb.New(release.Add(2030 * time.Millisecond))},
			}
		}, func(s *Sums) { s.AfterStop = 19 }, "19 messages after the stop"},
		{"a refusal for good", func(w *world) {
			l := &w.lines["unicom"][submits(w, "unicom")[5]]
			l.ID, l.Status = nil, 0x0B
		}, func(s *Sums) { s.Got--; s.Refused++; s.Incomplete++ }, ""},
		{"throttled, then taken", func(w *world) {
			l := w.lines["unicom"][submits(w, "unicom")[5]]
			l.ID, l.Status = nil, 0x58
			l.Time--
			w.lines["unicom"] = append(w.lines["unicom"], l)
		}, func(s *Sums) { s.Messages++ }, ""},
		{"throttled, and never taken", func(w *world) {
			l := &w.lines["unicom"][submits(w, "unicom")[5]]
			l.ID, l.Status = nil, 0x58
		}, func(s *Sums) { s.Got--; s.Lost++; s.Incomplete++ }, "1 people lost"},
		{"a person gets each half by another carrier", func(w *world) { // a phone joins what one sender sent
			at := submits(w, "mobile")[1]
			l := w.lines["mobile"][at]
			w.lines["mobile"] = append(w.lines["mobile"][:at], w.lines["mobile"][at+1:]...)
			_, segs := segments(english)
			l.Text = w.textNo("unicom", 0, segs[1])
			w.lines["unicom"] = append(w.lines["unicom"], l)
		}, func(s *Sums) { s.Got--; s.Lost++; s.Incomplete++ }, "1 people lost"},
		{"no end of validity", func(w *world) {
			w.lines["unicom"][submits(w, "unicom")[2]].Until = 0
		}, func(s *Sums) { s.OpenEnded++ }, "1 messages that their carrier may deliver after the expiry"},
		{"an end of validity after the expiry", func(w *world) {
			for _, at := range submits(w, "unicom")[:4] {
				w.lines["unicom"][at].Until = expiry.Unix() + 1
			}
		}, func(s *Sums) { s.OpenEnded += 4 }, "4 messages that their carrier may deliver after the expiry"},
		{"a violation", func(w *world) {
			w.lines["mobile"] = append(w.lines["mobile"], carrierlog.Line{Event: carrierlog.Violation, Rule: "sm_length", Clause: "5.2.21"})
		}, func(*Sums) {}, "1 violations of the standard at account mobile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := city(t)
			c.spoil(w)
			v := w.run()
			want := perfect
			c.want(&want)
			if d := cmp.Diff(want, v.Sums); d != "" {
				t.Errorf("sums: %s", d)
			}
			found := c.fault == ""
			for _, f := range v.Faults {
				found = found || strings.HasPrefix(f, c.fault)
			}
			if !found || v.OK != (c.fault == "") {
				t.Errorf("faults %v, wanted %q", v.Faults, c.fault)
			}
		})
	}
}

// TestFilesOfOtherEditorsAreRead: a byte order mark and ends of lines as the import takes them.
func TestFilesOfOtherEditorsAreRead(t *testing.T) {
	in := city(t).input()
	for _, path := range []string{in.Directory, in.Warnings} {
		edit(t, path, func(b []byte) []byte {
			return append([]byte("\xEF\xBB\xBF"), bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))...)
		})
	}
	if v, err := Run(in); err != nil || v.Got != 42 {
		t.Fatal(err, v.Sums)
	}
}

func TestRepeatsMayBeAllowed(t *testing.T) {
	w := city(t)
	w.allowed = 2
	w.hand("unicom", 1, chinese, release.Add(time.Minute))
	if v := w.run(); !v.OK || v.Doubled != 1 || v.ExtraMessages != 2 {
		t.Fatalf("%v %+v", v.Faults, v.Sums)
	}
}

func TestOneMessageTooManyInASecond(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		most int64
	}{{time.Second, 10}, {time.Second - 1, 11}} {
		w := newWorld(t)
		w.rate = 10
		x := w.warn("W1", "500103")
		x.Spec.Words[0].Text = "短"
		for i := range 11 {
			w.person(i+1, 106.5, 29.5, "zh-CN", "public", "")
			w.hand("mobile", i+1, "短", release.Add(time.Duration(i)*c.gap/10))
		}
		v := w.run()
		if a := v.Accounts[0]; a.MaxInAnySecond != c.most || v.OK != (c.most == 10) {
			t.Fatalf("gap %v: %d in a second, %v", c.gap, a.MaxInAnySecond, v.Faults)
		}
		if c.most == 10 && (v.Accounts[0].ContractUsed < 0.999 || v.Accounts[0].ContractUsed > 1.001) {
			t.Fatalf("used %v", v.Accounts[0].ContractUsed)
		}
	}
}

func TestUseOfTheContractLeavesGapsOut(t *testing.T) {
	w := newWorld(t)
	w.rate = 10
	w.warn("W1", "500103").Spec.Words[0].Text = "短"
	at := release
	for i := range 40 {
		w.person(i+1, 106.5, 29.5, "zh-CN", "public", "")
		w.hand("mobile", i+1, "短", at)
		if at = at.Add(100 * time.Millisecond); i == 19 {
			at = at.Add(4 * time.Second)
		}
	}
	a := w.run().Accounts[0]
	if a.ContractUsed > 0.51 || a.ContractUsedBusy < 0.99 || a.ContractUsedBusy > 1.03 || a.IdleS < 4 {
		t.Fatalf("%+v", a)
	}
}

func TestSeveralWarningsAreToldApartByTheirWords(t *testing.T) {
	w := city(t)
	other := w.warn("W2", "500103")
	other.Spec.Words[0].Text = strings.Replace(chinese, "橙色", "红色", 1) // the second segment is the same
	other.Spec.Words[1].Text = strings.Replace(english, "Orange", "Red", 1)
	at := release.Add(10 * time.Second)
	for i := 1; i <= 42; i++ {
		words := other.Spec.Words[0].Text
		if i%4 == 2 && i < 41 {
			words = other.Spec.Words[1].Text
		}
		if i == 7 {
			continue
		}
		w.hand("mobile", i, words, at) // with the reference of the first warning
	}
	v := w.run()
	if len(v.Warnings) != 2 || v.Warnings[0].Got != 42 || v.Warnings[1].Got != 41 || v.Warnings[1].Lost != 1 || v.Doubled != 0 || v.WrongText != 0 {
		t.Fatalf("%v\n%+v", v.Faults, v.Warnings)
	}
}

func TestWarningsWithTheSameWordsAreOneGroup(t *testing.T) {
	w := city(t)
	w.warn("W2", "500103")
	v := w.run()
	if len(v.Warnings) != 1 || !v.Warnings[0].SharedText || len(v.Warnings[0].Warnings) != 2 {
		t.Fatalf("%+v", v.Warnings)
	}
	if v.Expected != 42 || v.Got != 0 || v.Lost != 42 { // once is less often than the two want it
		t.Fatalf("%+v", v.Sums)
	}
}

// TestWordsThatTwoWarningsShareAreOfOne: whose a refused or single segment is, its reference tells.
func TestWordsThatTwoWarningsShareAreOfOne(t *testing.T) {
	red := strings.Replace(chinese, "橙色", "红色", 1) // the second segment is the same
	two := func() *world {
		w := newWorld(t)
		w.warn("W1", "500103").Spec.Words[0].Text = chinese
		w.warn("W2", "500103").Spec.Words[0].Text = red
		w.person(1, 106.5, 29.5, "zh-CN", "public", "")
		return w
	}
	refused := func(w *world, number int, words string, at time.Time) {
		for i := w.hand("mobile", number, words, at); i < len(w.lines["mobile"]); i++ {
			if l := &w.lines["mobile"][i]; l.Event == carrierlog.Submit {
				l.ID, l.Status = nil, 0x0B
			}
		}
	}
	w := two()
	refused(w, 1, red, release.Add(time.Second))
	if v := w.run(); v.Warnings[0].Lost != 1 || v.Warnings[1].Refused != 1 {
		t.Errorf("the carrier refused one, and the other never came: %+v", v.Warnings)
	}
	// A throttled segment of the red, before the orange was released, is not the first of the orange.
	w = two()
	w.warnings[0].ReleasedAt = timestamppb.New(release.Add(time.Minute))
	at := w.hand("mobile", 1, red, release.Add(time.Second))
	for i := range w.lines["mobile"][at:] {
		if l := &w.lines["mobile"][at+i]; l.Event == carrierlog.Submit {
			l.ID, l.Status = nil, 0x58
		}
	}
	w.hand("mobile", 1, red, release.Add(2*time.Second))
	w.hand("mobile", 1, chinese, release.Add(time.Minute+time.Second))
	if v := w.run(); v.Warnings[0].TimeToFirstMS != 1000 || v.Warnings[1].TimeToFirstMS != 1000 || v.Warnings[0].Messages != 2 || !v.OK {
		t.Errorf("%v: the first came after %v and %v ms, wanted 1000 and 1000", v.Faults, v.Warnings[0].TimeToFirstMS, v.Warnings[1].TimeToFirstMS)
	}
	// Who got the red alone has no correction of the orange to get.
	w = two()
	w.warnings[0].State, w.warnings[0].EndedAt = tocsinv1.State_STATE_CANCELLED, timestamppb.New(release.Add(9*time.Second))
	x := w.warn("W3", "500103")
	x.ReleasedAt = timestamppb.New(release.Add(10 * time.Second))
	x.Spec.Type, x.Spec.References = tocsinv1.Type_TYPE_CANCEL, []string{"W1"}
	w.hand("mobile", 1, red, release.Add(time.Second))
	w.hand("mobile", 1, "更正", release.Add(11*time.Second))
	wanted(t, "a correction of what nobody had", w.run(), "1 people got what was not for them")
}

func TestSegmentsOutOfOrderAndMixed(t *testing.T) {
	w := city(t)
	other := w.warn("W2", "500103").Spec
	other.Words[0].Text, other.Words[1].Text = strings.Repeat("另一个预警的文字。", 20), "Another."
	at := w.hand("mobile", 1, w.warnings[1].Spec.Words[0].Text, release.Add(time.Second))
	lines := w.lines["mobile"][at:]
	lines[0].Time, lines[2].Time = lines[2].Time, lines[0].Time
	v := w.run()
	if v.Warnings[1].Got != 1 || v.WrongText != 0 || v.Warnings[0].Got != 42 {
		t.Fatalf("%+v", v.Warnings)
	}
}

func TestDamagedInputHasNoVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(in *Input, t *testing.T)
		want  string
	}{
		{"a cut log", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[0].Logs[0], func(b []byte) []byte { return b[:len(b)-9] })
		}, "the last line is cut"},
		{"a log without its start", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[0].Logs[0], func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] })
		}, "does not begin with a start"},
		{"a broken line", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[1].Logs[0], func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"x":1,"until"`), []byte(`"x":"1","until"`), 1)
			})
		}, "line 4"},
		{"an unknown text", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[1].Logs[0], func(b []byte) []byte { return bytes.Replace(b, []byte(`"x":1,"until"`), []byte(`"x":99,"until"`), 1) })
		}, "text 99 is not known"},
		{"an unknown unit", func(in *Input, _ *testing.T) { in.Outlines = []byte(`{"type":"FeatureCollection","features":[]}`) }, "no outline of 500103"},
		{"a directory with another header", func(in *Input, t *testing.T) {
			edit(t, in.Directory, func(b []byte) []byte { return append([]byte("x"), b...) })
		}, "header"},
		{"a row with a broken number", func(in *Input, t *testing.T) {
			edit(t, in.Directory, func(b []byte) []byte { return append(b, "12x,106.0,29.0,1,1,en,public,\n"...) })
		}, "number"},
		{"a log that is given twice", func(in *Input, _ *testing.T) {
			in.Accounts[0].Logs = append(in.Accounts[0].Logs, in.Accounts[0].Logs[0])
		}, "given twice"},
		{"a log that is doubled", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[1].Logs[0], func(b []byte) []byte { return append(bytes.Clone(b), b...) })
		}, "given twice"},
		{"a copy of a log at another account", func(in *Input, t *testing.T) {
			b, err := os.ReadFile(in.Accounts[0].Logs[0])
			if err != nil {
				t.Fatal(err)
			}
			edit(t, in.Accounts[1].Logs[0], func([]byte) []byte { return b })
		}, "given twice"},
		{"a line less than the carrier counted", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[0].Logs[0], func(b []byte) []byte { return append(b, `{"e":"stop","t":1,"submits":45}`+"\n"...) })
		}, "counted 45 messages from its start to its stop, and the log has 44"},
		{"a line more than the carrier counted", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[0].Logs[0], func(b []byte) []byte { return append(b, `{"e":"stop","t":1,"submits":43}`+"\n"...) })
		}, "counted 43 messages from its start to its stop, and the log has 44"},
		{"lines after a stop", func(in *Input, t *testing.T) {
			edit(t, in.Accounts[0].Logs[0], func(b []byte) []byte {
				return append(b, `{"e":"stop","t":1,"submits":44}`+"\n"+`{"e":"unbind","t":2}`+"\n"...)
			})
		}, "goes on without a start"},
		{"a warning that is given twice", func(in *Input, t *testing.T) {
			edit(t, in.Warnings, func(b []byte) []byte { return append(bytes.Clone(b), b...) })
		}, "warning W1: it is given twice"},
		{"a state that nobody knows", func(in *Input, t *testing.T) {
			edit(t, in.Warnings, func(b []byte) []byte {
				return bytes.Replace(b, []byte("STATE_COMPLETED"), []byte("STATE_OF_TOMORROW"), 1)
			})
		}, "says no state that is known"},
		{"no warnings", func(in *Input, t *testing.T) { edit(t, in.Warnings, func([]byte) []byte { return nil }) }, "warnings: none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := city(t).input()
			c.spoil(&in, t)
			_, err := Run(in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, wanted %q", err, c.want)
			}
			if c.name == "a cut log" && !errors.Is(err, carrierlog.ErrTruncated) {
				t.Fatal("the error is not ErrTruncated")
			}
		})
	}
}

// TestALogThatIsBeingWritten: a line that is finished while it is read is no cut one.
func TestALogThatIsBeingWritten(t *testing.T) {
	in := city(t).input()
	path := in.Accounts[1].Logs[0]
	var rest []byte
	edit(t, path, func(b []byte) []byte { rest = b[len(b)-9:]; return b[:len(b)-9] })
	read, written := make(chan struct{}), make(chan error, 1)
	go func() {
		<-read
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.Write(rest)
			err = errors.Join(err, f.Close())
		}
		written <- err
	}()
	close(read)
	v, err := Run(in)
	if werr := <-written; werr != nil || err != nil || v.Got != 42 {
		t.Fatal(werr, err, v.Sums)
	}
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}
