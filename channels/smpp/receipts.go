package smpp

import (
	"strconv"

	"tocsin/channels"
	"tocsin/channels/smpp/pdu"
)

// group is the receipts of one read. It goes back to the pool with Ack.
type group struct {
	link      *link
	wire      *wire
	receipts  []channels.Receipt
	sequences []uint32
	out       []byte
}

var _ channels.Receipts = (*group)(nil)

// All is the receipts of the group.
func (g *group) All() []channels.Receipt { return g.receipts }

// Ack answers all deliver_sm of the group in one write. Where the connection is gone the carrier repeats them on
// another.
func (g *group) Ack() {
	g.out = g.out[:0]
	for _, seq := range g.sequences {
		g.out = pdu.AppendDeliverResp(g.out, pdu.OK, seq)
	}
	g.wire.mu.Lock()
	g.link.write(g.wire, g.out)
	g.wire.mu.Unlock()
	groups := &g.link.c.groups
	g.link, g.wire, g.receipts, g.sequences = nil, nil, g.receipts[:0], g.sequences[:0]
	groups.Put(g)
}

// states is what the words of a receipt mean. A word that the standard does not know changes nothing.
var states = [...]struct {
	state  channels.ReceiptState
	reason channels.Reason
}{
	0:                 {channels.Passing, channels.NoReason},
	pdu.EnRoute:       {channels.Passing, channels.NoReason},
	pdu.Accepted:      {channels.Passing, channels.NoReason},
	pdu.Delivered:     {channels.Arrived, channels.NoReason},
	pdu.Expired:       {channels.Failed, channels.ExpiredThere},
	pdu.Deleted:       {channels.Failed, channels.DeletedThere},
	pdu.Undeliverable: {channels.Failed, channels.Undeliverable},
	pdu.Unknown:       {channels.Failed, channels.UnknownThere},
	pdu.Rejected:      {channels.Failed, channels.RejectedThere},
}

// receipt puts a receipt in the words of the contract. The person is the one that it comes from (appendix B).
func (c *carrier) receipt(sm *pdu.SM, r *pdu.Receipt) channels.Receipt {
	s := states[r.State]
	if r.Intermediate {
		s = states[0]
	}
	return channels.Receipt{Number: number(sm.Source), Print: c.receiptPrint(r), State: s.state, Reason: s.reason}
}

// receiptPrint is the fingerprint of the id that a receipt names: the parameter, which repeats the answer, before the
// text. Where the text has another form than the answer, which HexIDs says, the text is what was agreed upon.
func (c *carrier) receiptPrint(r *pdu.Receipt) uint16 {
	asAnswered := len(r.Receipted) > 0 && (!c.account.HexIDs || len(r.ID) == 0)
	if asAnswered {
		return c.print(r.Receipted, true)
	}
	return c.print(r.ID, false)
}

// print is the fingerprint of an id in the account's normal form: a number is decimal without leading zeros, anything
// else stands as it is. answered says that the id has the form of a submit_sm_resp, which is hexadecimal with HexIDs.
func (c *carrier) print(id []byte, answered bool) uint16 {
	if len(id) == 0 {
		return 0
	}
	if answered && c.account.HexIDs {
		if n, ok := hexadecimal(id); ok {
			var buf [20]byte
			return channels.Fingerprint(strconv.AppendUint(buf[:0], n, 10))
		}
	}
	for _, d := range id {
		if d < '0' || d > '9' {
			return channels.Fingerprint(id)
		}
	}
	for len(id) > 1 && id[0] == '0' {
		id = id[1:]
	}
	return channels.Fingerprint(id)
}

// hexadecimal is the number of an id in base 16; false where it is none or has more than 64 bits.
func hexadecimal(id []byte) (n uint64, ok bool) {
	for _, d := range id {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		if n>>60 != 0 {
			return 0, false
		}
		n = n<<4 | uint64(d)
	}
	return n, true
}

// number reads an address of at most 15 digits (ITU-T E.164 clause 6), with or without a plus; 0 where it is none.
func number(address []byte) (n uint64) {
	if len(address) > 0 && address[0] == '+' {
		address = address[1:]
	}
	if len(address) > 15 {
		return 0
	}
	for _, d := range address {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}
