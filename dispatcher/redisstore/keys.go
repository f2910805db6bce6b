package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"tocsin/dispatcher"
	"tocsin/warning"
)

// keys makes the names of all keys of a realm. They share one hash tag, so that they lie in one slot of a Cluster and
// any of them may be used by one script.
//
//	{tocsin:REALM}:generation        counter: acts that owners must know of
//	{tocsin:REALM}:warnings          zset, all scores 0: "00:ID" for every warning, "SS:ID" by its state
//	{tocsin:REALM}:warning:ID        hash v, rev, state, expires (ms), digest, record (JSON)
//	{tocsin:REALM}:live:CONTENT      hash id → expires (ms) of the live warnings with this content
//	{tocsin:REALM}:answer:HASH       hash v, digest, answer, generation, number, warning: the stored answer of one (user, key)
//	{tocsin:REALM}:answers:ID        set of the names of the answers to acts on this warning
//	{tocsin:REALM}:toplan            set of ids
//	{tocsin:REALM}:deleted           set of ids of deleted warnings that have left something behind
//	{tocsin:REALM}:record            list: the record of acts, JSON
//	{tocsin:REALM}:recorded          counter: number of the last entry in it
//	{tocsin:REALM}:table:TABLE       hash field → version byte and value
//	{tocsin:REALM}:plan:ID           hash v, version, figures (JSON), strands (u32 each), parts, print, archived (version
//	                                 byte and report)
//	{tocsin:REALM}:batches:ID:H:N    chunk N of the batches of a strand of a warning; H is the hash of them all
//	{tocsin:REALM}:more:N            version byte and batches that stand behind those chunks: of small strands, and of people
//	                                 who were added
//	{tocsin:REALM}:strands           counter: the last strand id
//	{tocsin:REALM}:strand:N          hash v, head (JSON), warning, account, people, granted, closed, tail (JSON), batches,
//	                                 chunks
//	{tocsin:REALM}:ledger:N          hash index → version byte and ledger chunk of strand N
//	{tocsin:REALM}:roll:ID:N         hash page → version byte and page of what became of the people of strand N, 0: of those in
//	                                 none; in place of batches and ledger when the warning is archived
//	{tocsin:REALM}:account:NAME      hash v, owner, epoch, beat, seq, answer, entry, obeyed, stats
//	{tocsin:REALM}:carries:NAME      zset of the account's strands, by the generation at which they were stored or grew last
//	{tocsin:REALM}:journal:NAME      list of version byte and journal blob; the last one has the number "entry"
//	{tocsin:REALM}:blob:HMAC         version byte, nonce, ciphertext
//	{tocsin:REALM}:writer            who may write the directory; goes away when it is not renewed
type keys struct{ prefix string }

const (
	strandPart  = "strand:"
	warningPart = "warning:"
	ledgerPart  = "ledger:"
	morePart    = "more:"
	carriesPart = "carries:"
)

func newKeys(realm string) keys { return keys{"{tocsin:" + realm + "}:"} }

func (k keys) generation() string                  { return k.prefix + "generation" }
func (k keys) warnings() string                    { return k.prefix + "warnings" }
func (k keys) warning(id string) string            { return k.prefix + warningPart + id }
func (k keys) live(content string) string          { return k.prefix + "live:" + content }
func (k keys) toPlan() string                      { return k.prefix + "toplan" }
func (k keys) record() string                      { return k.prefix + "record" }
func (k keys) recorded() string                    { return k.prefix + "recorded" }
func (k keys) table(name string) string            { return k.prefix + "table:" + name }
func (k keys) plan(id string) string               { return k.prefix + "plan:" + id }
func (k keys) strands() string                     { return k.prefix + "strands" }
func (k keys) strand(s dispatcher.StrandID) string { return k.prefix + strandPart + utoa(uint64(s)) }
func (k keys) ledger(s dispatcher.StrandID) string { return k.prefix + ledgerPart + utoa(uint64(s)) }
func (k keys) more(s dispatcher.StrandID) string   { return k.prefix + morePart + utoa(uint64(s)) }
func (k keys) account(name string) string          { return k.prefix + "account:" + name }
func (k keys) carries(name string) string          { return k.prefix + carriesPart + name }
func (k keys) journal(name string) string          { return k.prefix + "journal:" + name }
func (k keys) deleted() string                     { return k.prefix + "deleted" }
func (k keys) answers(id string) string            { return k.prefix + "answers:" + id }
func (k keys) writer() string                      { return k.prefix + "writer" }
func (k keys) blob(name []byte) string             { return k.prefix + "blob:" + hex.EncodeToString(name) }

// answer hashes user and key, so that neither can be mistaken for a part of the other and both may be of any length.
func (k keys) answer(user, key string) string {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(user)))
	h.Write(n[:])
	h.Write([]byte(user))
	h.Write([]byte(key))
	return k.prefix + "answer:" + hex.EncodeToString(h.Sum(nil))
}

func (k keys) roll(id string, s dispatcher.StrandID) string {
	return k.prefix + "roll:" + id + ":" + utoa(uint64(s))
}

// batches is the name of one chunk of a strand's batches; ref is the strand's.
func (k keys) batches(ref string, chunk int) string {
	return k.prefix + "batches:" + ref + ":" + strconv.Itoa(chunk)
}

// prelude is what every script begins with: the names of keys that a script finds only while it runs (which warning a
// strand belongs to), and the states that it decides on.
var prelude = fmt.Sprintf(`
local RELEASED, EXPIRED = %d, %d
local function strand_key(prefix, id) return prefix .. '%s' .. id end
local function warning_key(prefix, id) return prefix .. '%s' .. id end
local function ledger_key(prefix, id) return prefix .. '%s' .. id end
local function more_key(prefix, id) return prefix .. '%s' .. id end
local function carries_key(prefix, name) return prefix .. '%s' .. name end
`, warning.Released, warning.Expired, strandPart, warningPart, ledgerPart, morePart, carriesPart)

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
