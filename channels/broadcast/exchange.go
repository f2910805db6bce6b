package broadcast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"tocsin/channels"
	"tocsin/channels/broadcast/ebd"
)

// mostAnswer is the octets that an answer may have.
const mostAnswer = 4 << 20

// verdict is what an answer means.
type verdict struct {
	kind   channels.Kind
	reason channels.Reason
}

// results is the codes of EBDResponse. Others, platforms' own, are tried again as a failure of the platform: a warning
// whose refusal nobody understands is worth the tries that the engine allows.
var results = map[ebd.Result]verdict{
	ebd.Received:        {channels.HandedOver, channels.NoReason},
	ebd.OK:              {channels.HandedOver, channels.NoReason},
	ebd.ParseFailed:     {channels.Refused, channels.BadContent},
	ebd.ContentMissing:  {channels.Refused, channels.BadContent},
	ebd.SignatureFailed: {channels.Refused, channels.NotAllowed},
	ebd.OtherFailure:    {channels.Retry, channels.SystemError},
}

func verdictOf(r ebd.Result) verdict {
	if v, ok := results[r]; ok {
		return v
	}
	return verdict{channels.Retry, channels.SystemError}
}

// httpVerdict is what a status other than 200 means. Whether a gateway's error stands before or behind the platform
// nobody can tell: the message may have arrived.
func httpVerdict(status int) verdict {
	switch {
	case status == http.StatusTooManyRequests:
		return verdict{channels.Retry, channels.Throttled}
	case status == http.StatusServiceUnavailable:
		return verdict{channels.Retry, channels.SystemError}
	case status == http.StatusRequestEntityTooLarge:
		return verdict{channels.Refused, channels.BadContent}
	case status >= 300 && status < 500 && status != http.StatusRequestTimeout:
		return verdict{channels.Refused, channels.NotAllowed}
	}
	return verdict{channels.Unknown, channels.NoAnswer}
}

// failure is why there is no answer that counts.
type failure struct {
	verdict
	cause error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

func fail(k channels.Kind, r channels.Reason, cause error) error {
	return &failure{verdict{k, r}, cause}
}

// exchange posts a packet with the payload and gives the payload of the answer. Every error is a *failure.
func (c *carrier) exchange(ctx context.Context, payload ebd.Payload, media []ebd.Media) (ebd.Payload, error) {
	now := time.Now()
	p := &ebd.Packet{
		ID: ebd.PacketID(payload, c.account.Source, c.nextSerial(now)), From: c.account.Source, To: c.account.Target,
		Time: now, Payload: payload, Media: media,
	}
	packet, err := p.Encode(c.signer)
	if err != nil {
		return nil, fail(channels.Refused, channels.BadContent, err)
	}
	answer, err := c.post(ctx, ebd.FileName(p.ID), packet)
	if err == nil {
		var load ebd.Payload
		if load, err = c.read(p.ID, answer); err == nil {
			c.note("")
			return load, nil
		}
		err = fail(channels.Unknown, channels.NoAnswer, fmt.Errorf("the answer does not count: %w", err))
	}
	if !errors.Is(err, context.Canceled) { // who gives up says nothing of the link
		c.note(short(err.Error()))
	}
	return nil, err
}

// nextSerial numbers packets: microseconds of the epoch have 16 digits, and those of an earlier process lie below.
func (c *carrier) nextSerial(now time.Time) uint64 {
	for {
		last := c.serial.Load()
		next := max(last+1, uint64(now.UnixMicro()))
		if c.serial.CompareAndSwap(last, next) {
			return next
		}
	}
}

// post sends the tar as the form that platforms take and gives the body of a good response.
func (c *carrier) post(ctx context.Context, name string, packet []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.account.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(packet)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fail(channels.Refused, channels.BadContent, err)
	}

	var connected atomic.Bool // from then on bytes may have left
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	// A reader that cannot go back: the request is never sent twice behind our back.
	r, err := http.NewRequestWithContext(traced, http.MethodPost, c.account.Address, io.MultiReader(&form))
	if err != nil {
		return nil, fail(channels.Retry, channels.LinkDown, err)
	}
	r.ContentLength = int64(form.Len())
	r.Header.Set("Content-Type", w.FormDataContentType())
	response, err := c.client.Do(r)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		if !connected.Load() {
			return nil, fail(channels.Retry, channels.LinkDown, err)
		}
		return nil, fail(channels.Unknown, channels.NoAnswer, fmt.Errorf("the packet left and no answer came: %w", err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		v := httpVerdict(response.StatusCode)
		return nil, fail(v.kind, v.reason, fmt.Errorf("the platform answers HTTP %d", response.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	if err != nil {
		return nil, fail(channels.Unknown, channels.NoAnswer, fmt.Errorf("the answer broke off: %w", err))
	}
	if len(body) > mostAnswer {
		return nil, fail(channels.Unknown, channels.NoAnswer, fmt.Errorf("the answer has more than %d octets", mostAnswer))
	}
	return body, nil
}

// read takes the answer to the packet id apart: signed by the platform where we have its key, from it, to us, and for
// this packet. A refusal may name no packet, because a platform that cannot read one does not know its name.
func (c *carrier) read(id string, answer []byte) (ebd.Payload, error) {
	p, err := ebd.Decode(answer, c.platform)
	if err != nil {
		return nil, err
	}
	response, isResponse := p.Payload.(*ebd.Response)
	refusal := isResponse && response.ResultCode > ebd.OK
	switch {
	case c.account.Target != "" && p.From != c.account.Target:
		return nil, fmt.Errorf("it is from %s, and the platform is %s", p.From, c.account.Target)
	case p.To != "" && p.To != c.account.Source:
		return nil, fmt.Errorf("it is for %s, and we are %s", p.To, c.account.Source)
	case p.Related != id && !(refusal && p.Related == ""):
		return nil, fmt.Errorf("it is for the packet %q, and ours is %s", p.Related, id)
	}
	return p.Payload, nil
}

// short cuts words for a person.
func short(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
