package wiring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tocsin/dispatcher/intake"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
	"tocsin/warning/cap"
)

// CAPVerdict is what is wrong with a CAP message.
type CAPVerdict struct {
	File   string     `json:"file"`
	Valid  bool       `json:"valid"`
	Faults []CAPFault `json:"faults"`
}

// CAPFault is one thing wrong with a CAP message.
type CAPFault struct {
	Line    int    `json:"line"`
	Element string `json:"element"`
	Rule    string `json:"rule"`
	Found   string `json:"found"`
	Remedy  string `json:"remedy"`
}

// CheckCAP holds a file of at most so many bytes against the rules of CAP. The error is that of reading it.
func CheckCAP(path string, bytes int) (CAPVerdict, error) {
	limits := cap.DefaultLimits()
	limits.Bytes = bytes
	v := CAPVerdict{File: path, Faults: []CAPFault{}}
	_, err := readCAP(path, limits)
	var faults cap.Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			v.Faults = append(v.Faults, CAPFault{f.Line, f.Field, f.Rule, f.Detail, f.Remedy})
		}
	case err != nil:
		return v, err
	}
	v.Valid = len(v.Faults) == 0
	return v, nil
}

// readCAP reads a file no further than its limit.
func readCAP(path string, l cap.Limits) (cap.Alert, error) {
	f, err := os.Open(path)
	if err != nil {
		return cap.Alert{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(l.Bytes)+1))
	if err != nil {
		return cap.Alert{}, err
	}
	return cap.Parse(b, l)
}

// CAPTable is the table of severities, events and codes that comes with the house, to be changed and given back.
func CAPTable() []byte { return cap.Shipped() }

// CAPFile is a CAP message to be submitted.
type CAPFile struct {
	Path  string
	Table string // file with a table; empty: the one of the house
	House []byte // the table of the house (HouseTable); nil: the one that comes with it
	// Language is that of refusals: zh-CN or en.
	Language string
	// Said is the fields of the spec that are said beside the file: what the file says of them, or lacks, does not count.
	Said []string
}

// Spec is the spec that the message asks for, as of now. Its references are those of the message: Follow them.
func (c CAPFile) Spec(now time.Time) (*pb.WarningSpec, error) {
	spec, err := c.spec(now)
	return spec, intake.InLanguage(err, c.Language)
}

func (c CAPFile) spec(now time.Time) (*pb.WarningSpec, error) {
	a, err := readCAP(c.Path, cap.DefaultLimits())
	var faults cap.Faults
	if errors.As(err, &faults) {
		wrong := &warning.Error{Reason: warning.ReasonInvalid}
		for _, f := range faults {
			f.Detail = fmt.Sprintf("line %d: %s", f.Line, f.Detail)
			wrong.Violations = append(wrong.Violations, f.Violation)
		}
		return nil, intake.Refusal(wrong)
	}
	if err != nil {
		return nil, err
	}
	b := c.House
	if c.Table != "" || b == nil {
		if b, err = capTable(c.Table); err != nil {
			return nil, err
		}
	}
	table, err := cap.ParseTable(b)
	if err != nil {
		return nil, err
	}
	spec, err := cap.ToSpec(a, table, now)
	var refused *warning.Error
	if errors.As(err, &refused) {
		refused.Violations = slices.DeleteFunc(refused.Violations, func(v warning.Violation) bool {
			return slices.Contains(c.Said, strings.TrimPrefix(v.Field, "warning."))
		})
		if len(refused.Violations) > 0 {
			return nil, intake.Refusal(refused)
		}
	}
	for _, field := range c.Said {
		switch field {
		case "areas":
			spec.Areas = nil
		case "words":
			spec.Words = nil
		case "issuers":
			spec.Issuers = nil
		}
	}
	w := warning.Warning{Spec: spec, SourceSystem: a.Sender, SourceID: a.Identifier}
	if warning.CheckNationalID(a.Identifier) == nil {
		w.NationalID = a.Identifier
	}
	return intake.SpecTo(w), nil
}

// capTable is the sound table of a file; without one it is the one that comes with the house.
func capTable(path string) ([]byte, error) {
	if path == "" {
		return cap.Shipped(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := cap.ParseTable(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// HouseTable is the table that the configuration of an engine names.
func HouseTable(ctx context.Context, c pb.WarningServiceClient) ([]byte, error) {
	r, err := c.CapTable(ctx, &pb.CapTableRequest{})
	return r.GetTable(), err
}

// ended is the states in which a warning cannot be updated any more, nor cancelled, which one that expired cannot either.
var ended = []pb.State{pb.State_STATE_CANCELLED, pb.State_STATE_REJECTED, pb.State_STATE_REPLACED}

// another tells whether a message of a status speaks of other warnings than one of status w: an exercise ends no actual
// warning. CAP has no word for a public drill: an exercise may mean it.
func another(message, w pb.Status) bool {
	return message != w && !(message == pb.Status_STATUS_EXERCISE && w == pb.Status_STATUS_PUBLIC_DRILL)
}

// FollowCAP puts the warnings of this house into the references of a spec that came from a CAP message, in place of the
// messages: those that are recorded with the same sender and identifier (or were told as CAP by this house) and have
// not ended, the newest first; for an update, the newest alone. None is a refusal: an update or cancel of what nobody here has
// been warned of helps nobody.
func FollowCAP(ctx context.Context, c pb.WarningServiceClient, spec *pb.WarningSpec) error {
	if len(spec.GetReferences()) == 0 {
		return nil
	}
	refs, _ := cap.ParseReferences(strings.Join(spec.GetReferences(), " "))
	r, err := c.List(ctx, &pb.ListRequest{Limit: 1000})
	if err != nil {
		return err
	}
	cancels := spec.GetType() == pb.Type_TYPE_CANCEL
	var found, others []string
	for _, w := range r.GetWarnings() {
		means := func(ref cap.Reference) bool {
			s := w.GetSpec()
			return s.GetSourceSystem() == ref.Sender && s.GetSourceId() == ref.Identifier ||
				ref.Identifier == w.GetId() || ref.Identifier == w.GetNationalId()
		}
		switch {
		case !slices.ContainsFunc(refs, means) || slices.Contains(ended, w.GetState()) || cancels && w.GetState() == pb.State_STATE_EXPIRED:
		case cancels && another(spec.GetStatus(), w.GetSpec().GetStatus()): // of an update the engine asks it
			others = append(others, w.GetId())
		default:
			found = append(found, w.GetId())
		}
	}
	slices.Sort(found) // identifiers begin with their time
	slices.Reverse(found)
	switch {
	case len(others) > 0:
		return intake.Refusal(warning.Invalid(warning.Violation{
			Field: "warning.status", Rule: "references.status",
			Detail: fmt.Sprintf("the message is of status %s, and %s is not", warning.Status(spec.GetStatus()), strings.Join(others, " and ")),
			Remedy: "say tocsin cancel " + others[0] + " if that is meant",
		}))
	case len(found) == 0:
		return intake.Refusal(warning.Invalid(warning.Violation{
			Field: "warning.references", Rule: "cap.references.unknown",
			Detail: "the message follows " + strings.Join(spec.GetReferences(), " and ") + ", and no warning here that still holds came from there",
			Remedy: "submit the original first, or submit a warning of your own by flags",
		}))
	case spec.GetType() == pb.Type_TYPE_ALL_CLEAR:
		return intake.Refusal(warning.Invalid(warning.Violation{
			Field: "warning.type", Rule: "cap.all_clear",
			Detail: "the message gives the all-clear for " + strings.Join(found, " and ") + ", and whether for all of the area is for a person to say",
			Remedy: "say tocsin all-clear " + found[0] + ", or submit an update with the area where the danger goes on",
		}))
	}
	if spec.GetType() == pb.Type_TYPE_UPDATE {
		found = found[:1]
	}
	spec.References = found
	return nil
}

// TellCAP is a released warning as a CAP message of the sender. It asks the engine for the warnings that it follows.
func TellCAP(ctx context.Context, c pb.WarningServiceClient, id, sender string) ([]byte, error) {
	get := func(id string) (warning.Warning, error) {
		r, err := c.Get(ctx, &pb.GetRequest{Id: id})
		if err != nil {
			return warning.Warning{}, err
		}
		return intake.WarningFrom(r.GetWarning())
	}
	w, err := get(id)
	if err != nil {
		return nil, err
	}
	for i, a := range w.Spec.Areas {
		if w.Spec.Areas[i], err = geofence.WGS84(a); err != nil {
			return nil, err
		}
	}
	var earlier []warning.Warning
	for _, id := range w.Spec.References {
		e, err := get(id)
		if err != nil {
			return nil, err
		}
		earlier = append(earlier, e)
	}
	a, err := cap.FromWarning(w, earlier, cap.Profile{Sender: sender})
	if err != nil {
		return nil, intake.Refusal(err)
	}
	return cap.Write(a)
}
