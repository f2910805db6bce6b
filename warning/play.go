package warning

// PlayState is where the message of one warning stands on one platform of an area channel. It counts messages, never
// people.
type PlayState uint8

// The states of a play.
const (
	PlayWaiting    PlayState = iota + 1 // a retry is due
	PlaySending                         // written down; bytes may have left
	PlayHandedOver                      // the platform has it
	PlayRefused                         // it will never take it
	PlayUnknown                         // no answer came; the same serial is sent again
	PlayCancelled                       // the platform has ended it
)

var playNames = enumNames[PlayState]{
	"waiting": PlayWaiting, "sending": PlaySending, "handed_over": PlayHandedOver, "refused": PlayRefused,
	"unknown": PlayUnknown, "cancelled": PlayCancelled,
}

func (s PlayState) String() string { return playNames.name(s) }

// Reached tells whether the platform has or may have the message.
func (s PlayState) Reached() bool { return s == PlaySending || s == PlayHandedOver || s == PlayUnknown }

// Addressed tells whether a channel reaches persons by an address of theirs; the others reach places.
func (c Channel) Addressed() bool { return c == SMS || c == FlashSMS || c == WorkApp }

// HeadlineOf is the title of a warning after the official pattern: who issues what in which colour.
func HeadlineOf(s *Spec) string {
	colour := map[Tier]string{Red: "红色预警", Orange: "橙色预警", Yellow: "黄色预警", Blue: "蓝色预警", Notice: "提示"}[s.Tier]
	name := s.EventName
	if name == "" {
		if e, ok := EventOf(s.Event); ok {
			name = e.Chinese
		}
	}
	verb := map[Type]string{Alert: "发布", Update: "更新", Cancel: "更正", AllClear: "解除"}[s.Type]
	issuer := ""
	if len(s.Issuers) > 0 {
		issuer = s.Issuers[0]
	}
	return issuer + verb + name + colour
}
