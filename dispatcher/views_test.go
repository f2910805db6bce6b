package dispatcher_test

import (
	"testing"

	"tocsin/dispatcher"
	"tocsin/warning"
)

func TestAPreviewOfFewIsVeiledForAllButCommanders(t *testing.T) {
	p := dispatcher.Preview{
		People: 19, Addressable: 18, NoAddress: 1,
		Units:    []dispatcher.PreviewUnit{{Code: "500101", People: 19}},
		Carriers: []dispatcher.PreviewCarrier{{Account: "mobile", People: 18, Messages: 18, Takes: 1}},
	}
	if got := p.For(dispatcher.Caller{Role: warning.Commander}); got.Few || got.People != 19 || got.Units[0].Few {
		t.Errorf("a commander sees %+v", got)
	}
	got := p.For(dispatcher.Caller{Role: warning.Forecaster})
	if !got.Few || got.People+got.Addressable+got.NoAddress != 0 || !got.Units[0].Few || got.Units[0].People != 0 ||
		!got.Carriers[0].Few || got.Carriers[0].People+got.Carriers[0].Messages != 0 || got.Carriers[0].Takes != 0 {
		t.Errorf("a forecaster sees %+v", got)
	}
	if p.Units[0].People != 19 || p.Carriers[0].People != 18 {
		t.Error("the veil changed what lies under it")
	}
	p.People, p.Units[0].People = 20, 20
	if got := p.For(dispatcher.Caller{Role: warning.Viewer}); got.Few || got.People != 20 || got.Units[0].Few || !got.Carriers[0].Few {
		t.Errorf("of twenty people a viewer sees %+v", got)
	}
}
