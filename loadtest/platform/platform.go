package platform

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emmansun/gmsm/sm2"
)

// Platform is a platform that listens.
type Platform struct {
	cfg      Config
	listener net.Listener
	log      writer
	key      *sm2.PrivateKey
	client   *ecdsa.PublicKey
	serial   atomic.Uint64 // of answers
	now      func() time.Time
	failed   chan struct{} // the log takes no more
	failOnce sync.Once

	mu        sync.Mutex // guards what follows
	behaviour Behaviour
	messages  map[string]*message
}

// message is what the platform knows of an EBMID.
type message struct {
	came   int // how many times
	digest string
	units  []string
	began  time.Time // when it started to play
	ended  time.Time // zero: it was not ended
}

// Listen checks cfg, reads the keys, opens the log and listens. Serve has to follow: it closes both.
func Listen(cfg Config) (*Platform, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Platform{cfg: cfg, now: time.Now, failed: make(chan struct{}), behaviour: cfg.Behaviour, messages: map[string]*message{}}
	var err error
	if cfg.Key != "" {
		if p.key, err = readPrivate(cfg.Key); err != nil {
			return nil, fmt.Errorf("platform: key: %w", err)
		}
	}
	if cfg.ClientKey != "" {
		if p.client, err = readPublic(cfg.ClientKey); err != nil {
			return nil, fmt.Errorf("platform: client_key: %w", err)
		}
	}
	if p.log.file, err = os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("platform: log: %w", err)
	}
	if p.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("platform: %w", err), p.log.file.Close())
	}
	p.serial.Store(uint64(p.now().UnixMicro())) // 16 digits; answers of an earlier start lie below
	cfg.Listen = p.listener.Addr().String()     // where a port of 0 has become one
	p.write(Line{Event: Start, Platform: cfg.Name, Version: Version, Config: &cfg})
	return p, nil
}

// Run is Listen and Serve.
func Run(ctx context.Context, cfg Config) error {
	p, err := Listen(cfg)
	if err != nil {
		return err
	}
	return p.Serve(ctx)
}

// Address is where clients post to.
func (p *Platform) Address() string { return "http://" + p.listener.Addr().String() + "/" }

// Behave changes how the platform treats messages from now on.
func (p *Platform) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Serve takes clients until ctx ends. It fails when the log takes no more: a platform without its log proves nothing.
func (p *Platform) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: p, ReadTimeout: 30 * time.Second, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p.listener) }()
	var failed error
	select {
	case <-ctx.Done():
	case <-p.failed:
	case failed = <-served:
	}
	cancel() // ends the handlers that wait
	patience, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	failed = errors.Join(failed, server.Shutdown(patience), server.Close())
	p.write(Line{Event: Stop})
	return errors.Join(failed, p.log.err, p.log.file.Close())
}

// write puts a line into the log; where it cannot, the platform ends.
func (p *Platform) write(l Line) {
	l.Time = p.now().UnixNano()
	if p.log.write(l) != nil {
		p.failOnce.Do(func() { close(p.failed) })
	}
}

// ServeHTTP takes one packet.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := part(r)
	if err != nil {
		p.write(Line{Event: Violation, Rule: "http", Detail: err.Error()})
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pack, bad := readTar(raw.data)
	if bad == nil && raw.name != "EBDT_"+pack.id+".tar" {
		bad = refuse(resultParse, "http.name", "the file of the packet %s is called %.80q", pack.id, raw.name)
	}
	if bad == nil {
		bad = pack.verify(p.client)
	}
	var e *element
	if bad == nil {
		e, bad = pack.read()
	}
	if bad == nil {
		if to := e.value("DEST", "EBRID"); to != "" && to != p.cfg.EBRID {
			bad = refuse(resultOther, "ebd.dest", "for %s, and this is %s", to, p.cfg.EBRID)
		}
	}
	line := Line{EBD: pack.id}
	to := reply{packet: pack.id, key: p.key}
	var payload *element
	var b Behaviour
	if bad == nil {
		to.to = e.value("SRC", "EBRID")
		line.From = to.to
		payload, b, bad = p.take(e, pack, &line)
	}
	if bad != nil {
		line = Line{Event: Violation, EBD: pack.id, From: line.From, EBM: line.EBM, Result: &bad.result, Rule: bad.rule, Detail: bad.detail}
		payload = resultElement(bad.result, bad.detail)
	}
	p.write(line)
	if b.Delay > 0 {
		select {
		case <-time.After(b.Delay):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if err := p.send(w, r, b.Fault, to, payload); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// file is the part of a request.
type file struct {
	name string
	data []byte
}

// part is the one file of the form.
func part(r *http.Request) (f file, err error) {
	if r.Method != http.MethodPost {
		return f, fmt.Errorf("%s, not POST", r.Method)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return f, err
	}
	one, err := form.NextPart()
	if err != nil {
		return f, err
	}
	if one.FormName() != "file" || one.FileName() == "" {
		return f, fmt.Errorf("the part is called %q and the file %q; file and EBDT_<EBDID>.tar are asked for", one.FormName(), one.FileName())
	}
	f.name = one.FileName()
	if f.data, err = io.ReadAll(io.LimitReader(one, mostOctets+1)); err != nil {
		return f, err
	}
	if len(f.data) > mostOctets {
		return f, fmt.Errorf("more than %d octets", mostOctets)
	}
	var more *multipart.Part
	if more, err = form.NextPart(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("a second part %q", more.FormName())
		}
		return f, err
	}
	return f, nil
}

// take answers a packet in order and fills the line.
func (p *Platform) take(e *element, pack *packet, line *Line) (*element, Behaviour, *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	quiet := Behaviour{Delay: p.behaviour.Delay} // faults are for messages
	switch e.value("EBDType") {
	case "ConnectionCheck":
		line.Event = Heartbeat
		return resultElement(resultOK, "ok"), quiet, nil
	case "EBMStateRequest":
		payload, bad := p.state(e.value("EBMStateRequest", "EBM", "EBMID"), line)
		return payload, quiet, bad
	}
	if bad := p.message(e.find("EBM"), pack, line); bad != nil {
		return nil, quiet, bad
	}
	result := p.behaviour.result()
	if result <= resultOK {
		line.N = p.keep(line)
	}
	line.Fault = p.behaviour.Fault
	if line.Fault == "" || line.Fault == FaultResult {
		line.Result = &result
	}
	return resultElement(result, "result "+strconv.Itoa(result)), p.behaviour, nil
}

// keep plays or ends the message of line and tells how many times it has come.
func (p *Platform) keep(line *Line) int {
	m := p.messages[line.EBM]
	if m == nil {
		m = &message{digest: line.Digest}
		p.messages[line.EBM] = m
		if m.began = p.now(); line.Starts > m.began.Unix() {
			m.began = time.Unix(line.Starts, 0)
		}
	}
	m.came++
	for _, u := range line.Units {
		if !slices.Contains(m.units, u) {
			m.units = append(m.units, u)
		}
	}
	if line.Type == msgCancel {
		if ends := p.messages[line.Related]; ends.ended.IsZero() {
			ends.ended = p.now()
		}
	}
	return m.came
}

// state says how far a message has come.
func (p *Platform) state(id string, line *Line) (*element, *refusal) {
	line.Event, line.EBM = State, id
	m := p.messages[id]
	if m == nil || m.units == nil {
		return nil, refuse(resultOther, "ebm.unknown", "no message %s was taken", id)
	}
	at := p.now()
	state, rate, words := 2, 0.0, "playing"
	if !m.ended.IsZero() {
		at = m.ended
	}
	if rate = 1; p.cfg.CoverageOver > 0 {
		rate = min(max(float64(at.Sub(m.began))/float64(p.cfg.CoverageOver), 0), 1)
	}
	switch {
	case !m.ended.IsZero():
		state, words = 5, "cancelled"
	case at.Before(m.began):
		state, words = 1, "waiting"
	case rate == 1:
		state, words = 3, "played"
	}
	line.State, line.Rate = state, rate
	terminals := int(rate * float64(p.cfg.Terminals*len(m.units)))
	return parent("EBMStateResponse",
		leaf("RptTime", p.now().In(beijing).Format(time.DateTime)),
		parent("EBM", leaf("EBMID", id)),
		leaf("BrdStateCode", strconv.Itoa(state)), leaf("BrdStateDesc", words),
		parent("Coverage",
			leaf("CoverageRate", strconv.FormatFloat(rate, 'f', 4, 64)),
			leaf("AreaCode", strings.Join(m.units, ",")),
			leaf("ResBrdStat", fmt.Sprintf("1,%d,0,%d", len(m.units), terminals)),
		),
	), nil
}
