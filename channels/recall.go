package channels

import "context"

// Recaller is a carrier that can take back messages which it took and has not delivered.
type Recaller interface {
	// Recall asks for the segments of messages back and waits for the answers until ctx ends; of a message only Token
	// counts. asked is how many segments the carrier was asked for: a carrier forgets, and so does the adapter. gone is
	// those that the carrier says it gave up.
	Recall(ctx context.Context, batch []Message) (asked int, gone []Segment)
}

// Segment is one segment of a message.
type Segment struct {
	Token uint64
	Index uint8
}
