package dispatcher_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// TestAPreviewSaysWhoHowAndWhen: people by duty and channel, what waits ahead at the account by tier, and what would make it
// faster, by what really happens when that is done.
func TestAPreviewSaysWhoHowAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 20000, 1500)
		defer h.close()
		look := func(tier warning.Tier, text string) dispatcher.Preview {
			p, err := h.e.Preview(t.Context(), dispatcher.Caller{User: "huang", Role: warning.Commander}, spec(tier, text, ""))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := look(warning.Red, "Heavy rain, two parts")
		cost := int64(parts("Heavy rain, two parts"))
		if len(p.Channels) != 2 || p.Channels[0].Duty != warning.Responsible || p.Channels[0].People != 200 || p.Channels[1].People != 19800 ||
			p.Channels[1].Messages != 19800*cost {
			t.Errorf("by channel and duty %+v", p.Channels)
		}
		if len(p.Units) != 1 || p.Units[0].Residents != 1_000_000 || p.Residents != 1_000_000 {
			t.Errorf("all of the town are in the area, but %d of a million live there: %+v", p.Residents, p.Units)
		}
		c := p.Carriers[0]
		if c.Messages != 20000*cost || c.Takes != time.Duration(c.Messages)*time.Second/1500 || c.Ahead != 0 || p.Finish != c.Takes {
			t.Errorf("finish %v of %+v", p.Finish, c)
		}
		faster := func(p dispatcher.Preview, how warning.Text) *dispatcher.PreviewFaster {
			if i := slices.IndexFunc(p.Faster, func(f dispatcher.PreviewFaster) bool { return f.How == how }); i >= 0 {
				return &p.Faster[i]
			}
			return nil
		}
		f := faster(p, warning.TextFasterContract)
		if f == nil || f.To != 3000 || f.Finish != p.Finish/2 {
			t.Errorf("a better contract: %+v", f)
		}
		if f := faster(p, warning.TextFasterArea); f == nil || f.Channel != warning.Broadcast || f.Finish != 0 {
			t.Errorf("the broadcast is not proposed: %+v", p.Faster)
		}
		if faster(p, warning.TextFasterAhead) != nil || faster(p, warning.TextFasterConfigured) != nil || faster(p, warning.TextFasterPaused) != nil {
			t.Errorf("nothing is ahead or held back: %+v", p.Faster)
		}
		if f := faster(p, warning.TextFasterWords); f == nil || f.From != cost || f.Finish >= p.Finish {
			t.Errorf("shorter words: %+v", f)
		}
		h.warn(spec(warning.Orange, "orange text", ""))
		pass(2 * time.Second)
		if p := look(warning.Red, "red text"); p.Carriers[0].Ahead != 0 {
			t.Errorf("an orange is ahead of a red: %+v", p.Carriers)
		}
		p = look(warning.Orange, "another orange")
		c = p.Carriers[0]
		if c.Ahead < 30_000 || c.Ahead > 40_000 || p.Finish != c.Takes+c.Waits {
			t.Errorf("finish %v of %+v", p.Finish, c)
		}
		if f := faster(p, warning.TextFasterAhead); f == nil || f.Finish != c.Takes {
			t.Errorf("holding what is ahead: %+v", f)
		}
	})
}
