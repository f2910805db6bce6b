package wiring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tocsin/dispatcher"
	"tocsin/dispatcher/intake"
	"tocsin/dispatcher/policy"
	"tocsin/warning"
)

// rule keeps the policy in force. It lies whole in the store, so that a file that asks for less does not take effect by a
// restart: it waits there until two persons have agreed, and the old one holds meanwhile. Every process follows the store.
type rule struct {
	records dispatcher.Records
	log     *zap.Logger
	now     atomic.Pointer[policy.Policy]
}

// ruling is the record in the store.
type ruling struct {
	Record   int           `json:"record"`
	Changes  uint64        `json:"changes"` // of this record so far: of two that were decided over the same one, the second is refused
	InForce  policy.Policy `json:"in_force"`
	Since    time.Time     `json:"since"`
	Agreed   []string      `json:"agreed,omitempty"`
	Proposed *proposal     `json:"proposed,omitempty"`
}

// proposal is a policy that asks for less than the one in force.
type proposal struct {
	Policy  policy.Policy `json:"policy"`
	Since   time.Time     `json:"since"`
	Loosens []string      `json:"loosens"`
	Agreed  []string      `json:"agreed,omitempty"`
}

const (
	ruleField   = "policy"
	ruleVersion = 1
	ruleEvery   = time.Second // between two looks at what other processes decided
)

// openRule compares the policy of the configuration with the one in force, and decides which of them holds.
func openRule(ctx context.Context, records dispatcher.Records, configured *policy.Policy, log *zap.Logger) (*rule, error) {
	r := &rule{records: records, log: log}
	return r, r.meet(ctx, configured, Operator())
}

// meet decides whether a configured policy holds or has to wait, and writes that down in the name of who brought it.
func (r *rule) meet(ctx context.Context, configured *policy.Policy, by dispatcher.Caller) error {
	for {
		was, known, err := r.read(ctx)
		if err != nil {
			return err
		}
		next, e := was.met(known, configured, time.Now().UTC())
		if e.Act != "" {
			e.User, e.Role = by.User, by.Role.String()
			err = r.write(ctx, next, e)
		}
		if errors.Is(err, dispatcher.ErrOtherUse) { // another process was faster
			continue
		}
		if err != nil {
			return err
		}
		r.take(&next)
		return nil
	}
}

// met is what becomes of the record when a process starts with a configured policy, and the entry for the record of acts.
func (was ruling) met(known bool, configured *policy.Policy, now time.Time) (next ruling, e dispatcher.Entry) {
	next = was
	digest := configured.Digest()
	e = dispatcher.Entry{At: now, Subject: digest, Outcome: "in force"}
	adopt := func(act, detail string) {
		next.InForce, next.Since, next.Agreed, next.Proposed = *configured, now, nil, nil
		e.Act, e.Detail = act, detail
	}
	switch same := digest == was.InForce.Digest(); {
	case !known:
		adopt("policy.adopt", "the first policy of this installation")
	case same && was.Proposed != nil:
		next.Proposed = nil
		e.Act, e.Detail = "policy.withdraw", "proposed was "+was.Proposed.Policy.Digest()
	case same, was.Proposed != nil && digest == was.Proposed.Policy.Digest():
		return next, dispatcher.Entry{}
	default:
		ways := was.InForce.Loosened(configured)
		changes := fmt.Sprintf("instead of %s: %s", was.InForce.Digest(), strings.Join(was.InForce.Changes(configured), "; "))
		if len(ways) == 0 {
			adopt("policy.change", changes)
			break
		}
		next.Proposed = &proposal{Policy: *configured, Since: now, Loosens: ways}
		e.Act, e.Detail, e.Outcome = "policy.propose", changes, "waits for two persons"
	}
	return next, e
}

// read is the record; false when no policy was ever in force.
func (r *rule) read(ctx context.Context) (ruling, bool, error) {
	table, err := r.records.Table(ctx, dispatcher.TablePolicy)
	if err != nil {
		return ruling{}, false, fmt.Errorf("the policy in force cannot be read: %w", err)
	}
	b, ok := table[ruleField]
	if !ok {
		return ruling{Record: ruleVersion}, false, nil
	}
	var out ruling
	if err := json.Unmarshal(b, &out); err != nil {
		return ruling{}, false, fmt.Errorf("the record of the policy is damaged: %w", err)
	}
	if out.Record > ruleVersion {
		return ruling{}, false, fmt.Errorf("the policy has a record of version %d and this release reads %d; upgrade", out.Record, ruleVersion)
	}
	return out, true, nil
}

// write puts the next record; ErrOtherUse when it has changed since it was read.
func (r *rule) write(ctx context.Context, next ruling, e dispatcher.Entry) error {
	key := strconv.FormatUint(next.Changes, 10)
	next.Changes++
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	_, err = r.records.Do(ctx, dispatcher.Act{
		User: "policy:", Key: key, Digest: hex.EncodeToString(sum[:]), // no user is named so
		Entry: e, Puts: []dispatcher.Put{{Table: dispatcher.TablePolicy, Field: ruleField, Value: b}},
	})
	return err
}

// take makes the policy of a record hold in this process.
func (r *rule) take(now *ruling) {
	before, digest := r.now.Load(), now.InForce.Digest()
	if before != nil && before.Digest() == digest {
		return
	}
	r.now.Store(&now.InForce)
	r.log.Info("policy in force", zap.String("digest", digest), zap.Time("since", now.Since), zap.Strings("agreed", now.Agreed))
	if p := now.Proposed; p != nil {
		r.log.Error("the configured policy asks for less than the one in force and does NOT hold: two persons must agree to it (`tocsin policy show`)",
			zap.String("digest", p.Policy.Digest()), zap.Strings("loosens", p.Loosens), zap.Strings("agreed", p.Agreed))
	}
}

// inForce is the policy that holds now.
func (r *rule) inForce() dispatcher.Policy { return r.now.Load() }

// follow takes what other processes decided, until ctx ends.
func (r *rule) follow(ctx context.Context) {
	each(ctx, ruleEvery, func() {
		now, known, err := r.read(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Warn("the policy in force goes on to hold", zap.Error(err))
		case known:
			r.take(&now)
		}
	})
}

// Policy is the policy in force, and the one that waits for agreement.
func (r *rule) Policy(ctx context.Context) (intake.PolicyState, error) {
	now, _, err := r.read(ctx)
	if err != nil {
		return intake.PolicyState{}, dispatcher.Refusal(err)
	}
	return now.state(), nil
}

// AgreePolicy counts a person who agrees to the proposed policy; with the second it takes effect. Who has agreed already
// agrees to nothing more.
func (r *rule) AgreePolicy(ctx context.Context, c dispatcher.Caller, digest string) (intake.PolicyState, error) {
	for {
		now, _, err := r.read(ctx)
		if err != nil {
			return intake.PolicyState{}, dispatcher.Refusal(err)
		}
		p := now.Proposed
		switch {
		case digest == now.InForce.Digest() && slices.Contains(now.Agreed, c.User):
			return now.state(), nil
		case p == nil:
			return intake.PolicyState{}, warning.Refuse(warning.ReasonConflict, "no policy waits for agreement; an engine that starts with a looser one proposes it")
		case p.Policy.Digest() != digest:
			return intake.PolicyState{}, warning.Invalid(warning.Violation{
				Field: "digest", Rule: "policy.digest", Detail: "the policy that waits is not the one that you saw: its digest is " + p.Policy.Digest(),
				Remedy: "look at it again with tocsin policy show",
			})
		case slices.Contains(p.Agreed, c.User):
			return now.state(), nil
		}
		agreed := append(slices.Clone(p.Agreed), c.User)
		e := dispatcher.Entry{
			At: time.Now().UTC(), User: c.User, Role: c.Role.String(), Act: "policy.agree", Subject: digest,
			Detail: strings.Join(p.Loosens, "; "), Outcome: "waits for another person",
		}
		if now.InForce.MayTakeEffect(&p.Policy, agreed) == nil {
			now.InForce, now.Since, now.Agreed, now.Proposed = p.Policy, e.At, agreed, nil
			e.Outcome = "in force"
		} else {
			now.Proposed = &proposal{Policy: p.Policy, Since: p.Since, Loosens: p.Loosens, Agreed: agreed}
		}
		err = r.write(ctx, now, e)
		if errors.Is(err, dispatcher.ErrOtherUse) {
			continue
		}
		if err != nil {
			return intake.PolicyState{}, dispatcher.Refusal(err)
		}
		r.take(&now)
		return now.state(), nil
	}
}

// state is the record as a caller sees it.
func (was ruling) state() intake.PolicyState {
	out := intake.PolicyState{InForce: intake.PolicyKept{Digest: was.InForce.Digest(), JSON: was.InForce.Text(), Since: was.Since, Agreed: was.Agreed}}
	if p := was.Proposed; p != nil {
		out.Proposed = &intake.PolicyKept{Digest: p.Policy.Digest(), JSON: p.Policy.Text(), Since: p.Since, Agreed: p.Agreed, Loosens: p.Loosens}
	}
	return out
}
