package warning

// Tier is the urgency of a warning. The smaller number is the more urgent (Chinese levels I to IV).
type Tier uint8

// The tiers. Notice is below the four colours: all-clears and information.
const (
	Red Tier = iota + 1
	Orange
	Yellow
	Blue
	Notice
)

// Tiers in order of urgency.
var Tiers = []Tier{Red, Orange, Yellow, Blue, Notice}

var tierNames = enumNames[Tier]{"red": Red, "orange": Orange, "yellow": Yellow, "blue": Blue, "notice": Notice}

func (t Tier) String() string { return tierNames.name(t) }

// ParseTier reads the stable lower-case name.
func ParseTier(s string) (Tier, error) { return tierNames.parse("tier", s) }

// Status says whether people are meant. It is fixed at creation and has no default (promise 8).
type Status uint8

// The statuses.
const (
	Actual      Status = iota + 1 // real people, real danger
	Exercise                      // simulated and drill links only
	PublicDrill                   // real people on purpose, with words that say so
	Test                          // link test, no recipient
)

var statusNames = enumNames[Status]{"actual": Actual, "exercise": Exercise, "public_drill": PublicDrill, "test": Test}

func (s Status) String() string { return statusNames.name(s) }

// ParseStatus reads the stable lower-case name.
func ParseStatus(s string) (Status, error) { return statusNames.parse("status", s) }

// Type says what a warning does to the one before it.
type Type uint8

// The types.
const (
	Alert Type = iota + 1
	Update
	Cancel   // issued by mistake
	AllClear // the danger is over
	Left     // of words only: for those whom an update leaves outside
	Call     // made by the engine alone: it rings people on duty about another warning
)

var typeNames = enumNames[Type]{"alert": Alert, "update": Update, "cancel": Cancel, "all_clear": AllClear, "left": Left, "call": Call}

func (t Type) String() string { return typeNames.name(t) }

// ParseType reads the stable lower-case name.
func ParseType(s string) (Type, error) { return typeNames.parse("type", s) }

// Channel is a way to people.
type Channel uint8

// The channels. SMS is the one of this edition; the others are named so that stored records need not change.
const (
	SMS Channel = iota + 1
	FlashSMS
	Broadcast
	CableTV
	Push
	WorkApp
	Feed // the public CAP feed: read by those who ask for it
)

var channelNames = enumNames[Channel]{"sms": SMS, "flash_sms": FlashSMS, "broadcast": Broadcast, "cable_tv": CableTV, "push": Push, "work_app": WorkApp, "feed": Feed}

func (c Channel) String() string { return channelNames.name(c) }

// ParseChannel reads the stable lower-case name.
func ParseChannel(s string) (Channel, error) { return channelNames.parse("channel", s) }

// Role is what a user may do.
type Role uint8

// The roles.
const (
	Forecaster Role = iota + 1
	Approver
	Commander
	Engineer
	LoadTester
	Viewer
)

var roleNames = enumNames[Role]{"forecaster": Forecaster, "approver": Approver, "commander": Commander, "engineer": Engineer, "load_tester": LoadTester, "viewer": Viewer}

func (r Role) String() string { return roleNames.name(r) }

// ParseRole reads the stable lower-case name.
func ParseRole(s string) (Role, error) { return roleNames.parse("role", s) }
