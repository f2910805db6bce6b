package dispatcher

import (
	"context"
	"errors"
	"time"

	"tocsin/warning"
)

// Snapshot is the directory at one moment. It never changes, so that a plan that names it can be made again.
type Snapshot interface {
	// ID names the content.
	ID() string
	// Blocks is how many blocks there are; every block but the last of a run is full.
	Blocks() int
	// Block is one block; its columns are views, which nobody writes to. Blocks of snapshots that share it have one Identity.
	Block(i int) warning.Block
	// Resolve finds who counts as being in the areas, closed boundary. It fails closed with every violation named
	// (promise 6).
	Resolve(areas []warning.Area, p warning.Presence) (warning.Selection, error)
	// Remarks is what is no fault of areas, but should make whoever sends or approves them think.
	Remarks(areas []warning.Area) []warning.Violation
	// Order is the order in which the focus is told of: indices into sel.Blocks, those in the greatest danger first.
	Order(sel *warning.Selection, f warning.Focus) []int
	// Find is the place of the recipient that has number.
	Find(number uint64) (block, slot int, ok bool)
	// District names the unit with this code in the newest edition, or the town; "" where it is unknown.
	District(code uint32) string
	// Residents is how many live in the district with this code by the last census; 0 where it is not known.
	Residents(code uint32) int64
}

// Directory gives snapshots.
type Directory interface {
	// Current is the newest snapshot; false when nothing was imported yet.
	Current() (Snapshot, bool)
	// Snapshot is the one with this id, also when it is not the newest any more.
	Snapshot(ctx context.Context, id string) (Snapshot, error)
	// Withdrawn is who of the snapshot id must not be told any more: by the newest one they are gone, have another number,
	// or want no messages.
	Withdrawn(ctx context.Context, id string) (warning.Selection, error)
}

// Land knows where this installation may warn, and who is competent around it.
type Land interface {
	// Border measures what of the areas lies beyond the jurisdiction, without counting people, and the part of the
	// jurisdiction's surface that they cover, 0 to 1. Faulty areas are refused.
	Border(areas []warning.Area) (o warning.Outside, share float64, err error)
	// Beyond tells found who of a block is where outside of the jurisdiction, with the code of the neighbour; not where no
	// neighbour is known.
	Beyond(b warning.Block, mask *warning.Mask, found func(slot int, neighbour string))
	// Within tells whether all of the areas lie in the units, six digits each.
	Within(areas []warning.Area, units []string) bool
	// Clip is the areas without what lies beyond the jurisdiction, refused where they cannot be cut.
	Clip(areas []warning.Area) ([]warning.Area, error)
	// Pin names for each unit the edition whose outline is meant at a time, so that the area of what is recorded never
	// changes.
	Pin(areas []warning.Area, at time.Time) []warning.Area
}

// Callee is a user whom the engine may ring.
type Callee struct {
	User     string
	Number   uint64 // E.164 digits
	Approves bool   // the role may approve
	Backup   int    // 0 is rung first; each higher one after Duty.Backup more of waiting
	OnDuty   bool
	Switched bool // on or off by hand, until they go back to their hours
}

// Roster is who can be rung.
type Roster interface {
	// Callees is everybody of the roster as they stand at a time.
	Callees(ctx context.Context, at time.Time) ([]Callee, error)
	// Snapshot is people with these numbers as a directory of their own. Directory.Snapshot gives it again by its id, in
	// any process and whatever the roster says by then.
	Snapshot(numbers []uint64) Snapshot
}

// The errors of a store on which a caller decides. All others mean that nothing is known: repeat with the same sequence
// or key.
var (
	ErrFenced   = errors.New("another process owns the account")                  // stop sending at once; also where the store lacks commits
	ErrChanged  = errors.New("the record has changed since it was read")          // read again and decide again
	ErrOtherUse = errors.New("the key was used with other content")               // never
	ErrSame     = errors.New("the same warning is recorded already and is valid") // never, but with Again
	ErrNotFound = errors.New("no such record")                                    // never
	ErrGone     = errors.New("batches that were stored ahead are gone")           // with the batches, without Ref
)

// Records keeps warnings, the controls of accounts, and the record of acts.
type Records interface {
	// Do carries out one act: one script, one fsync (promise 1). The same user and key with the same digest gives the
	// stored answer and changes nothing.
	Do(ctx context.Context, a Act) (Done, error)
	// Answered is the stored answer to an act that this user made with this key before, if there is one; ErrOtherUse when
	// it was made with another digest. A caller asks before it decides: what was allowed once may not be allowed again.
	Answered(ctx context.Context, user, key, digest string) (answer []byte, ok bool, err error)
	// Warning is one warning and the revision of its record, one more with each act on it; ErrNotFound.
	Warning(ctx context.Context, id string) (warning.Warning, uint64, error)
	// Warnings lists those in any of the states (none named: all), newest first.
	Warnings(ctx context.Context, states []warning.State, limit int) ([]warning.Warning, error)
	// Standing is what changes of the warnings in any of the states (none named: all), in no order: much less to read than the records.
	Standing(ctx context.Context, states []warning.State) ([]Standing, error)
	// ToPlan is the released warnings whose plan is not made yet.
	ToPlan(ctx context.Context) ([]string, error)
	// PutBatches stores the batches of new strands of a warning ahead of its plan, and fills Ref of those that have many:
	// PutPlan then stores heads alone. What no plan names is kept for twice AheadEvery.
	PutBatches(ctx context.Context, id string, strands []Strand) error
	// PutPlan stores the strands of a released warning: batches that have no Ref first, then all heads in one script, which
	// answers the ids; ErrGone when batches of a Ref are not there any more. A part that is there already is left as it is, and the plan's ids are answered. ErrChanged when the warning is
	// no longer Released at revision rev, or another part was added meanwhile: of parts behind the first also one that
	// is not the newest, or has other people. A strand that has an id already grows by its batches; ErrChanged when it is
	// closed, or its people with these are not as many as are said.
	PutPlan(ctx context.Context, rev uint64, p Plan) ([]StrandID, error)
	// PutPlans does the same for parts of many plans in one go. Each is stored or refused by itself; the answer is parallel.
	PutPlans(ctx context.Context, parts []Part) []Stored
	// PutRoll stores what became of the people of a strand (0: of those in none) in pages by their index, for when the
	// warning is archived; repeated it writes over, and once that is archived it changes nothing.
	PutRoll(ctx context.Context, id string, strand StrandID, pages [][]byte) error
	// RollPages is one page of each roll of a warning; nil where it is not kept.
	RollPages(ctx context.Context, id string, at []RollPage) ([][]byte, error)
	// Pseudonym stands for a number where the number must not be.
	Pseudonym(number uint64) [16]byte
	// Archive takes the strands of a warning from their accounts and drops their batches and ledgers: report and rolls stand
	// in their place, and their snapshots are not needed. It is not planned again. Repeated it changes nothing; ErrNotFound
	// before planning.
	Archive(ctx context.Context, id string, report []byte) error
	// Delete removes a warning that is over and, where it was planned, archived (else ErrChanged), with fields of tables, and
	// records e. Nobody finds it from then on; what it leaves behind Purge removes. Repeated it changes nothing.
	Delete(ctx context.Context, id string, e Entry, fields []Put) error
	// Purge removes all that deleted warnings have left: plans, rolls, answers.
	Purge(ctx context.Context) error
	// PlanOf is the strands of a warning with their counts, and the figures of its plan; ErrNotFound before planning.
	PlanOf(ctx context.Context, id string) (Plan, []StrandTail, error)
	// Obeyed is how far the owner of each named account is; accounts without owner are left out. An owner whose beat
	// stands still for a lease by the caller's clock is dead and need not be waited for.
	Obeyed(ctx context.Context, accounts []string) (map[string]Owned, error)
	// Table is every small record of a table by its field.
	Table(ctx context.Context, table string) (map[string][]byte, error)
	// Entries is up to n entries of the record of acts from number from on (entries count from 1), as the bytes that
	// were stored: what a seal is taken over.
	Entries(ctx context.Context, from uint64, n int) ([][]byte, error)
	// Durability says what the store keeps, for the report ("fsync on every write", or as the operator stated).
	Durability() string
}

// AheadEvery is how often the batches of a warning that waits are stored again.
const AheadEvery = 5 * time.Minute

// Act is one change that a person (or the engine itself) makes, all of it or nothing.
type Act struct {
	User, Key string // idempotency is per user; an empty key (the engine's own acts) has none
	Digest    string // SHA-256 of the request's content
	Answer    []byte // what the caller gets, now and at each repeat
	Entry     Entry  // for the record of acts (promise 9); a zero Entry adds none

	Warning *warning.Warning // the record to write, or nil
	Rev     uint64           // the revision that was read; 0: the warning must not exist yet
	Unique  bool             // refuse (ErrSame) while another live warning has the same content
	ToPlan  bool             // the warning is to be planned
	Parts   int              // of its plan, as they were read; 0: however many there are. ErrChanged when it has grown

	StateOf string        // a warning that must be in State, else ErrChanged; empty: none
	State   warning.State // of StateOf

	Fence Fence // refuse (ErrFenced) when this is not the account's ownership any more; zero: nothing

	Puts []Put // small records that change with the act: users, controls of accounts, seals
}

// Standing is what changes of a warning.
type Standing struct {
	ID      string
	State   warning.State
	Expires time.Time // whole milliseconds
}

// Over is the states in which a warning stays.
var Over = []warning.State{warning.Completed, warning.Cancelled, warning.Expired, warning.Rejected, warning.Replaced}

// Owned is what the store knows of the owner of an account.
type Owned struct {
	Owner  string
	Beat   uint64 // it moves while the owner lives
	Obeyed uint64 // the generation that the owner has obeyed
}

// The tables of small records.
const (
	TableUsers    = "users"    // user name → JSON of identity
	TableControls = "controls" // account → JSON of Control
	TablePlays    = "plays"    // warning and platform → JSON of Play
	TableRoutes   = "routes"   // account → JSON of Route
	TableSounds   = "sounds"   // warning and platform → JSON of the audio of a Play's repeats
	TableProbes   = "probes"   // node → time of its last probe of durability
	TableNodes    = "nodes"    // node → JSON of its last pulse
	TableSeals    = "seals"    // node → its newest seal, a line of text
	TableDuty     = "duty"     // user → "on" or "off": who went on or off duty by hand
	TablePolicy   = "policy"   // "policy" → JSON of the one in force and the one that waits
	TableStopped  = "stopped"  // cancelled warning whose correction is not recorded yet → JSON of who cancelled it, with which key
	TableFollowed = "followed" // warning → id of the update or all-clear that was released to take its place
	TableReviews  = "reviews"  // warning → when its open review is due, RFC 3339
	TableEditions = "editions" // id of outlines → JSON of what is known of their import
)

// Put is one small record; a nil Value removes it. Was is what it must be, empty: not there; nil: whatever it is. Where it is
// something else the act is refused (ErrChanged).
type Put struct {
	Table, Field string
	Value, Was   []byte
}

// Done is the answer to an Act.
type Done struct {
	Answer     []byte
	Repeated   bool   // the act was done before; Answer is the stored one
	Generation uint64 // owners that have obeyed it know of the act
	Number     uint64 // of the entry in the record of acts
}

// Entry is one act in the record: who did what, when. No number, token or position of a recipient ever enters it.
type Entry struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	Role    string    `json:"role"`
	Act     string    `json:"act"`               // e.g. "warning.approve"
	Subject string    `json:"subject"`           // e.g. the warning's id
	Detail  string    `json:"detail,omitempty"`  // e.g. digest, head count, reason
	Outcome string    `json:"outcome,omitempty"` // state after
}

// Control is what an engineer set by hand; it wins over the configuration.
type Control struct {
	Paused bool   `json:"paused,omitempty"`
	Why    string `json:"why,omitempty"`
	Rate   int    `json:"rate,omitempty"` // messages/s; 0: as configured
	User   string `json:"user,omitempty"`
}

// StrandID is the durable number of a strand, unique in a realm, never reused; 0 is none.
type StrandID uint32

// Plan is who gets one version by which accounts, in which order: a pure function of (snapshot, version).
type Plan struct {
	Warning  string
	Version  int
	Snapshot string
	// InArea + Entered = planned somewhere + all of LeftOut (promise 2).
	InArea int64
	LeftOut
	// Steps is how many later steps of the channel table were planned (warning.Spec.LaterSteps).
	Steps int
	// Entered is people who came into the area after the release, beside InArea.
	Entered int64
	// Parts is how many times strands were stored for this plan, counting this one: 1 for the plan itself, more for people
	// who are added later.
	Parts int
	// Pending says that people of the original were in open windows when a follow-up was planned: a part for them follows.
	Pending bool
	Strands []Strand
	// Archived is the report that was kept in place of the strands; nil: they are at their accounts.
	Archived []byte
}

// RollPage names a page of the roll of a strand.
type RollPage struct {
	Strand StrandID // 0: of the people in none
	Page   int
}

// Part is a plan, or a part of one, to be stored for a warning at revision Rev.
type Part struct {
	Rev uint64
	Plan
}

// Stored is what came of a Part: the ids of the strands of all parts of its plan, and whether this call stored it: it was
// there already where not, perhaps as another process made it.
type Stored struct {
	IDs []StrandID
	New bool
	Err error
}

// Strand is the part of a lane that one account carries: its head is frozen by the plan, but for people at its end who
// are added later. A strand without account is people who cannot be told, kept so that each is counted once.
type Strand struct {
	ID       StrandID        `json:"id"`
	Warning  string          `json:"warning"`
	Version  int             `json:"version"`
	Channel  warning.Channel `json:"channel"`
	Words    warning.Type    `json:"words"` // which of the warning's words these people get
	Account  string          `json:"account"`
	Snapshot string          `json:"snapshot"`
	People   uint32          `json:"people"` // with those who were added
	// From is the account at which these people waited before they were moved within the channel; empty: they did not.
	From string `json:"from,omitempty"`
	// Entered says that these people came into the area after a release: the directory has them elsewhere, and whether they are
	// still there nobody knows.
	Entered bool `json:"entered,omitempty"`
	// Batches in the order of sending; the position of a person in the strand counts through their masks.
	Batches []Batch `json:"-"`
	// Ref is where PutBatches has stored them; empty: nowhere, or they are too few for it.
	Ref string `json:"-"`
}

// Batch is up to BlockSize people of one strand, of one class and one language: a reference, never a copy.
type Batch struct {
	Block    uint32
	Duty     warning.Duty
	Language uint8 // index into warning.Languages
	Mask     warning.Mask
}

// StrandTail is the part of a strand that its account's owner writes.
type StrandTail struct {
	Strand  StrandID            `json:"strand"`
	People  uint32              `json:"people"`  // who is counted here: more may have been added since
	Granted uint32              `json:"granted"` // positions below were granted; kept by grants, ignored in a Commit
	Closed  warning.PersonState `json:"closed"`  // what the positions from Granted on became; Waiting while open
	Counts  warning.Counts      `json:"counts"`
	Reasons map[string]int64    `json:"reasons,omitempty"` // people not reached, by reason
	Stats   StrandStats         `json:"stats"`
}

// StrandStats is what a strand has done so far.
type StrandStats struct {
	Segments        int       `json:"segments"`         // messages that one person costs (the longest language)
	Messages        int64     `json:"messages"`         // given to sockets, repeats again
	PossibleRepeats int64     `json:"possible_repeats"` // hand-offs of people who were unknown
	Due             int       `json:"due,omitempty"`    // people who are to be handed over another time
	First           time.Time `json:"first,omitzero"`   // first message given to a socket
	Last            time.Time `json:"last,omitzero"`
	MaxInAnySecond  int       `json:"max_in_any_second"`      // of the account, since the strand's first message
	RecallAsked     int64     `json:"recall_asked,omitempty"` // messages that the carrier was asked to take back
	Recalled        int64     `json:"recalled,omitempty"`     // and those that it did
}

// Queue is what the owner of an account needs: everything durable about its strands.
type Queue interface {
	// Acquire makes owner the owner of the account with a new epoch, higher than every one before and than floor. It
	// answers ErrFenced while another owner's heartbeat moves: the caller watches it for a lease by its own clock
	// (Heartbeat) and passes the unchanged beat it saw as idle; own is true when the caller knows by its lock on the
	// data directory that the owner of that name is dead. That holds for epochs up to floor, which were kept there: one
	// with a higher epoch is another process of the same name, and may live.
	Acquire(ctx context.Context, account, owner string, floor, idle uint64, own bool) (Fence, error)
	// Heartbeat is the beat of the present owner, its name, and whether there is one.
	Heartbeat(ctx context.Context, account string) (beat uint64, owner string, ok bool, err error)
	// Beat moves the heartbeat. ErrFenced when the account has another owner.
	Beat(ctx context.Context, f Fence) (Signal, error)
	// Release ends the ownership.
	Release(ctx context.Context, f Fence) error

	// Commit appends to the journal, asks for grants and closes strands: one script, one fsync. The fence's sequence
	// counts commits from 1; a repeated sequence gets the stored answer and changes nothing, and one that leaves some out, which a
	// store has lost since, gets ErrFenced: what is there must be taken over anew. It moves the heartbeat, because
	// its owner sends for a lease from it on.
	Commit(ctx context.Context, f Fence, seq uint64, c Commit) (Committed, error)
	// Fold stores ledger chunks whose journal entries, up to and including entry, are dropped.
	Fold(ctx context.Context, f Fence, chunks []Chunk, entry uint64) error
	// Load reads the account's strands that were stored or have grown after the generation, in the order of their ids, with
	// batches, and of their tails what was granted and closed; the rest of these, ledger chunks and the journal come with it
	// where asked, for an owner that takes over. A strand that has no more people than have says is left out; nil: none is.
	Load(ctx context.Context, account string, after uint64, ledger bool, have func(StrandID) uint32) (Image, error)
	// Read is Load for the named strands of the account, ids ascending; ErrNotFound.
	Read(ctx context.Context, account string, ids []StrandID, ledger bool) (Image, error)
	// States is how each of the warnings stands; ErrNotFound.
	States(ctx context.Context, warnings []string) ([]Standing, error)
}

// Fence names one ownership; every write carries it.
type Fence struct {
	Account, Owner string
	Epoch          uint64
}

// Signal is what an owner learns with each answer: something changed when Generation has.
type Signal struct {
	Generation uint64
	Control    Control
}

// Commit is one write of an owner.
type Commit struct {
	Now     time.Time    // the owner's UTC clock, for validity
	Journal []byte       // records, see journal.go; may be empty
	Grants  []Grant      // each is allowed or refused by itself
	Close   []Close      // strands whose positions that were never granted are settled
	Tails   []StrandTail // the counts after this commit, for strands that changed
	Obeyed  uint64       // the generation that the owner has obeyed
	Stats   []byte       // figures of the whole account, opaque; set when not empty
}

// Grant asks for the mark "these may leave now" (promise 3).
type Grant struct {
	Strand   StrandID
	From, To uint32 // positions for the first time; From is the strand's Granted. To < From gives back: never refused
	Again    []byte // journal records of positions that are sent again; appended only when the grant is allowed
}

// Close settles the positions of a strand that were never granted.
type Close struct {
	Strand StrandID
	As     warning.PersonState // CancelledIn, ExpiredOut, Superseded or Moved
}

// Committed is the answer to a Commit.
type Committed struct {
	Signal
	Entry   uint64          // number of the journal entry that was appended last; entries count from 1
	Refused []warning.State // by grant: 0 allowed, else the state that refuses it; Released: only the account's pause does
}

// ChunkSize is how many positions of a strand one ledger chunk holds.
const ChunkSize = 4096

// Chunk is a packed piece of the ledger of one strand: positions Index·ChunkSize and on.
type Chunk struct {
	Strand StrandID
	Index  uint32
	Data   []byte
}

// Image is what an owner reads when it takes over or when strands were added.
type Image struct {
	Signal
	Strands []Strand
	Tails   []StrandTail // parallel to Strands
	Chunks  []Chunk
	Journal [][]byte // not folded yet, oldest first
	Entry   uint64   // number of the last journal entry
	Stats   []byte   // as the last Commit that had any left it
}
