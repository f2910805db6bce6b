package wiring

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher/intake"
	"tocsin/geofence"
	"tocsin/warning"
)

// TestAnOldPlanWaitsForNoImport: a correction needs the people of a plan that was made over another directory, while somebody
// takes their time to send a new one.
func TestAnOldPlanWaitsForNoImport(t *testing.T) {
	r := newRealm(t)
	one, two := r.process(), r.process()
	planned := mustImport(t, one, "i", people(t, 3000, 1)).Snapshot
	if _, err := change(t.Context(), one, "c", "", warning.Change{Number: somebody(one.current(), 1), Deed: warning.DeedUnsubscribe}); err != nil {
		t.Fatal(err)
	}
	broken, begun, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := two.Import(t.Context(), engineer, intake.ImportHead{Key: "slow"}, func() (intake.Rows, error) {
			close(begun)
			<-broken
			return intake.Rows{}, errors.New("the stream broke")
		})
		ended <- err
	}()
	<-begun
	found := make(chan error, 1)
	go func() {
		_, err := two.Snapshot(t.Context(), planned)
		found <- err
	}()
	select {
	case err := <-found:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the people of the plan wait for the import")
	}
	close(broken)
	if err := <-ended; err == nil {
		t.Error("a broken import is an import")
	}
}

// TestAnImportThatBringsNothingIsBrokenOff: meanwhile nobody could be erased. What it has brought is kept.
func TestAnImportThatBringsNothingIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows, err := geofence.Synth(2000, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		next, given := pullChunks(rows, 1000)
		never := make(chan struct{})
		var s session
		began := time.Now()
		err = s.gather(func() (intake.Rows, error) {
			if given() == 1000 {
				<-never
			}
			return next()
		})
		if !errors.Is(err, errStalled) || s.rows.Len() != 1000 || time.Since(began) > time.Minute {
			t.Errorf("%d rows after %v: %v", s.rows.Len(), time.Since(began), err)
		}
		close(never)
		synctest.Wait()
	})
	r := newRealm(t)
	d := r.process()
	next, given := pullChunks(people(t, 3000, 1), 1000)
	_, err := d.Import(t.Context(), engineer, intake.ImportHead{Key: "k"}, func() (intake.Rows, error) {
		if given() == 2000 {
			return intake.Rows{}, errStalled
		}
		return next()
	})
	if warning.ReasonOf(err) != warning.ReasonUnavailable {
		t.Errorf("answered %v", err)
	}
	if n, err := d.ImportState(t.Context(), engineer, "k"); n != 2000 || err != nil {
		t.Errorf("%d rows are kept: %v", n, err)
	}
}
