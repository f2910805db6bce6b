package intake

import (
	"context"
	"time"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// Acts is what changes a warning. Every call is durable when it answers without error; the same key gives the same
// answer.
type Acts interface {
	Submit(ctx context.Context, c dispatcher.Caller, key string, s dispatcher.Submission) (warning.Warning, dispatcher.Preview, error)
	Approve(ctx context.Context, c dispatcher.Caller, key, id string, version int, digest string, people int64) (warning.Warning, error)
	Reject(ctx context.Context, c dispatcher.Caller, key, id, why string) (warning.Warning, error)
	Hold(ctx context.Context, c dispatcher.Caller, key, id, why string) (warning.Warning, error)
	Release(ctx context.Context, c dispatcher.Caller, key, id string) (warning.Warning, error)
	// Cancel answers the correction beside the cancelled warning; without ID where there is none.
	Cancel(ctx context.Context, c dispatcher.Caller, key, id, why string) (w, correction warning.Warning, err error)
	AllClear(ctx context.Context, c dispatcher.Caller, key, id string) (warning.Warning, error)
	Broadcast(ctx context.Context, c dispatcher.Caller, key, id string, r dispatcher.Repeat) (warning.Warning, error)
	EmergencyRelease(ctx context.Context, c dispatcher.Caller, key, id, why string) (warning.Warning, error)
	CloseReview(ctx context.Context, c dispatcher.Caller, key, id, finding string) (warning.Warning, error)
	// MissingApprovals is how many approvals the policy still asks for.
	MissingApprovals(w warning.Warning) int
}

// Looks is what shows warnings. Preview is veiled for the caller; Who is recorded.
type Looks interface {
	Preview(ctx context.Context, c dispatcher.Caller, s warning.Spec) (dispatcher.Preview, error)
	PreviewOf(ctx context.Context, c dispatcher.Caller, id string) (dispatcher.Preview, error)
	Get(ctx context.Context, id string) (warning.Warning, error)
	List(ctx context.Context, states []warning.State, calls bool, limit int) ([]warning.Warning, error)
	// Reviews is the open ones, the one due first first.
	Reviews(ctx context.Context) ([]warning.Review, error)
	Progress(ctx context.Context, id string) (dispatcher.Progress, error)
	Report(ctx context.Context, id string) (dispatcher.Report, error)
	Who(ctx context.Context, c dispatcher.Caller, number uint64, why string) (dispatcher.Who, error)
}

// Rule keeps the policy in force.
type Rule interface {
	Policy(ctx context.Context) (PolicyState, error)
	// AgreePolicy counts a person who agrees to the policy that waits; agreeing twice is agreeing once.
	AgreePolicy(ctx context.Context, c dispatcher.Caller, digest string) (PolicyState, error)
}

// PolicyState is the policy in force, and the one that asks for less and waits for two persons (nil: none).
type PolicyState struct {
	InForce  PolicyKept
	Proposed *PolicyKept
}

// PolicyKept is one policy as it is kept.
type PolicyKept struct {
	Digest, JSON    string
	Since           time.Time
	Agreed, Loosens []string
}

// Accounts shows and steers the accounts with carriers.
type Accounts interface {
	Accounts(ctx context.Context) ([]dispatcher.AccountHealth, error)
	Pause(ctx context.Context, c dispatcher.Caller, key, account, why string) (dispatcher.AccountHealth, error)
	Resume(ctx context.Context, c dispatcher.Caller, key, account string) (dispatcher.AccountHealth, error)
	SetRate(ctx context.Context, c dispatcher.Caller, key, account string, rate int) (dispatcher.AccountHealth, error)
	ResetRate(ctx context.Context, c dispatcher.Caller, key, account string) (dispatcher.AccountHealth, error)
	// Probe tests the links of an account; it takes up to 30 s.
	Probe(ctx context.Context, c dispatcher.Caller, account string) (dispatcher.AccountHealth, error)
}

// House shows how everything is doing, and reads its configuration again.
type House interface {
	// Status always answers, also while the store is away.
	Status(ctx context.Context) dispatcher.Status
	// Reload applies the configuration as the file says it now, all of it or nothing; checkOnly only says what would come of
	// it. The error names what is wrong, or which keys need a restart.
	Reload(ctx context.Context, c dispatcher.Caller, key string, checkOnly bool) (Reloaded, error)
}

// Reloaded is what a configuration changes.
type Reloaded struct {
	Node          string // the process that read its file
	Before, After string // digests of the configurations
	Changes       []Change
	Applied       bool
	ByHand        []string // accounts whose rate was set by hand: it stays in force
	Leaving       []dispatcher.Leaving
}

// Change is one value of the configuration that is not what it was. A secret is only said to differ.
type Change struct {
	Key, Before, After string
	Takes              string // at_once, new_links, two_persons, restart
}

// Directory holds who can be told.
type Directory interface {
	// Import makes one new snapshot of everything that next brings until it answers io.EOF. Any other error of next
	// ends it and changes nothing; what came is kept for a while, so that an import with the same key can go on.
	Import(ctx context.Context, c dispatcher.Caller, head ImportHead, next func() (Rows, error)) (Imported, error)
	// ImportState is how many rows of a broken import are kept.
	ImportState(ctx context.Context, c dispatcher.Caller, key string) (int64, error)
	// Change carries out changes of single people in their order; why is the reason of erasures.
	Change(ctx context.Context, c dispatcher.Caller, key string, changes []warning.Change, why string) (Changed, error)
	Stats(ctx context.Context) (Stats, error)
}

// ImportHead is how an import begins.
type ImportHead struct {
	Key    string
	Total  int64 // rows that will come; 0: not known
	Offset int64 // rows that earlier streams have brought
}

// Changed is what became of changes.
type Changed struct {
	Snapshot            string
	People              int64
	Changed, BadChanges int64
	Bad                 []BadRow // the first hundred
}

// Moves takes positions of people as they change.
type Moves interface {
	// Move takes what next brings until it answers io.EOF, and answers when everybody who entered an area is durable. Any
	// other error of next breaks it off; what came before has happened.
	Move(ctx context.Context, next func() (dispatcher.Positions, error)) (dispatcher.Moved, error)
}

// Duty says who is rung while a warning waits.
type Duty interface {
	// SetDuty puts the caller "on" or "off" duty, or back to the "hours" of the roster.
	SetDuty(ctx context.Context, c dispatcher.Caller, key, state string) error
	OnDuty(ctx context.Context) ([]dispatcher.Callee, error)
}

// Rows is one chunk of columns of equal length, as in warning.Block; Number is E.164 digits without plus.
type Rows struct {
	Number                []uint64
	Lon, Lat              []int32
	Home, Seen            []uint32
	Language, Role, Flags []byte
}

// Imported is what became of an import.
type Imported struct {
	Snapshot string
	People   int64
	BadRows  int64
	Bad      []BadRow // the first hundred
}

// BadRow is one row that was left out. Detail holds no number.
type BadRow struct {
	Row                 int64 // in the whole stream, from 0
	Field, Rule, Detail string
}

// Stats says what the directory holds.
type Stats struct {
	Snapshot                                              string
	People, Addressable, OptedOut, NoAddress, Responsible int64
	ImportedAt                                            time.Time
	Edition                                               string // of the units
	Units                                                 []Unit
}

// Unit is the people of one administrative unit.
type Unit struct {
	Code, Name string
	People     int64
}
