package intake

import (
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/dispatcher"
	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// The enumerations of the contract have the numbers of package warning; TestEnumsAgree keeps it so.

func timeFrom(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func (s *Server) warningTo(w warning.Warning, c dispatcher.Caller) *pb.Warning {
	people, few := c.HeadCount(&w)
	return &pb.Warning{
		Id: w.ID, Version: int32(w.Version), Spec: SpecTo(w), Digest: w.Digest, State: pb.State(w.State), Node: w.Node,
		SubmittedBy: w.SubmittedBy, SubmittedAt: timeTo(w.SubmittedAt), ApprovedBy: w.ApprovedBy,
		ReleasedAt: timeTo(w.ReleasedAt), EndedAt: timeTo(w.EndedAt), Why: w.Why, ApprovedPeople: people, Few: few,
		Snapshot: w.Snapshot, RecordVersion: int32(w.Record), NationalId: w.NationalID, SourceSystem: w.SourceSystem,
		ApprovalsMissing: int32(s.Acts.MissingApprovals(w)), WaitsS: int64(dispatcher.Waits(&w, s.Now()).Seconds()),
		Review: reviewTo(w.Review, s.Now()), Told: toldTo(w.Spec.ToldBy(w.ReleaseAt(s.Now()))), Rung: w.Summons.Rung(),
		CompletedAt: timeTo(w.CompletedAt), Holds: holdsTo(w.Holds),
	}
}

func holdsTo(list []warning.Span) (out []*pb.Span) {
	for _, s := range list {
		out = append(out, &pb.Span{From: timeTo(s.From), To: timeTo(s.To)})
	}
	return out
}

// WarningFrom is what an engine answered, for those who ask it. Areas are recorded as shapes: an answer has no GeoJSON.
func WarningFrom(p *pb.Warning) (warning.Warning, error) {
	spec, vs := specFrom(p.GetSpec(), func(field string, _ []byte) (warning.Area, error) {
		return warning.Area{}, warning.Refuse(warning.ReasonInvalid, "%s: an answer has no GeoJSON", field)
	})
	if len(vs) > 0 {
		return warning.Warning{}, warning.Invalid(vs...)
	}
	return warning.Warning{
		Record: int(p.GetRecordVersion()), ID: p.GetId(), Version: int(p.GetVersion()), Spec: spec, Digest: p.GetDigest(),
		State: warning.State(p.GetState()), NationalID: p.GetNationalId(), SourceSystem: p.GetSourceSystem(), SourceID: p.GetSpec().GetSourceId(),
		Node: p.GetNode(), SubmittedBy: p.GetSubmittedBy(), SubmittedAt: timeFrom(p.GetSubmittedAt()), ApprovedBy: p.GetApprovedBy(),
		ReleasedAt: timeFrom(p.GetReleasedAt()), EndedAt: timeFrom(p.GetEndedAt()), CompletedAt: timeFrom(p.GetCompletedAt()), Why: p.GetWhy(),
		ApprovedPeople: p.GetApprovedPeople(), Snapshot: p.GetSnapshot(), Review: reviewFrom(p.GetReview()),
	}, nil
}

// SpecTo is the spec of w, with what w says of its source, as it is submitted.
func SpecTo(w warning.Warning) *pb.WarningSpec {
	s := w.Spec
	out := &pb.WarningSpec{
		Event: s.Event, EventName: s.EventName, Tier: pb.Tier(s.Tier), Status: pb.Status(s.Status), Type: pb.Type(s.Type),
		Onset: timeTo(s.Onset), Expires: timeTo(s.Expires), Issuers: s.Issuers, EventId: s.EventID, Stage: s.Stage,
		References: s.References, Again: s.Again, Clip: s.Clip, NationalId: w.NationalID, SourceSystem: w.SourceSystem, SourceId: w.SourceID,
	}
	if f := s.Focus; f != nil {
		out.Focus = &pb.Focus{Points: pointsTo(f.Points), Crs: f.CRS, SpeedMPerS: f.Speed, BearingDeg: f.Bearing}
	}
	for _, t := range s.Words {
		out.Words = append(out.Words, &pb.Words{Language: t.Language, Channel: pb.Channel(t.Channel), Kind: pb.Type(t.Kind), Text: t.Text})
	}
	for _, c := range s.Channels {
		out.Channels = append(out.Channels, pb.Channel(c))
	}
	for _, a := range s.Areas {
		out.Areas = append(out.Areas, areaTo(a))
	}
	return out
}

func areaTo(a warning.Area) *pb.Area {
	out := &pb.Area{Name: a.Name, AsOf: timeTo(a.AsOf), Edition: a.Edition}
	if a.Unit != "" {
		out.Where = &pb.Area_Unit{Unit: a.Unit}
		return out
	}
	if c := a.Circle; c != nil {
		out.Where = &pb.Area_Circle{Circle: &pb.Circle{Centre: &pb.Point{Lon: c.Centre[0], Lat: c.Centre[1]}, RadiusM: c.Radius, Crs: a.CRS}}
		return out
	}
	shape := &pb.Polygons{Crs: a.CRS}
	for _, part := range a.Polygons {
		poly := &pb.Polygon{}
		for _, ring := range part {
			poly.Rings = append(poly.Rings, &pb.Ring{Points: pointsTo(ring)})
		}
		shape.Parts = append(shape.Parts, poly)
	}
	out.Where = &pb.Area_Polygons{Polygons: shape}
	return out
}

func pointsTo(points []warning.Point) (out []*pb.Point) {
	for _, p := range points {
		out = append(out, &pb.Point{Lon: p[0], Lat: p[1]})
	}
	return out
}

func previewTo(p dispatcher.Preview, language string) *pb.PreviewResponse {
	out := &pb.PreviewResponse{
		People: p.People, Few: p.Few, Addressable: p.Addressable, NoAddress: p.NoAddress, OptedOut: p.OptedOut, NoRoute: p.NoRoute, Untold: p.Untold,
		ShareOfJurisdiction: p.Share, SecondsToFinish: p.Finish.Seconds(), Digest: p.Digest, Border: warning.SayRefusal(language, p.Border), BeyondBorder: p.Beyond != nil, Told: toldTo(p.Told),
	}
	if bad := (*warning.Error)(nil); errors.As(p.Beyond, &bad) && len(bad.Violations) > 0 {
		out.Border = bad.Violations[0].In(language).Text()
	}
	for _, a := range p.Clipped {
		out.Clipped = append(out.Clipped, areaTo(a))
	}
	for _, v := range p.Remarks {
		v = v.In(language)
		out.Remarks = append(out.Remarks, &pb.PreviewResponse_Remark{Field: v.Field, Rule: v.Rule, Text: v.Text()})
	}
	out.Units, out.Towns, out.Residents = unitsTo(p.Units), unitsTo(p.Towns), p.Residents
	for _, c := range p.Channels {
		out.Ways = append(out.Ways, &pb.PreviewResponse_Way{Channel: pb.Channel(c.Channel), Duty: c.Duty.String(), People: c.People, Messages: c.Messages, Few: c.Few})
	}
	for _, c := range p.Carriers {
		out.Carriers = append(out.Carriers, &pb.PreviewResponse_Carrier{
			Account: c.Account, People: c.People, Messages: c.Messages, ContractMessagesPerS: c.Contract, Seconds: c.Takes.Seconds(), Few: c.Few,
			AheadMessages: c.Ahead, AheadSeconds: c.Waits.Seconds(),
		})
	}
	for _, f := range p.Faster {
		out.Faster = append(out.Faster, &pb.PreviewResponse_Faster{
			How: string(f.How), Account: f.Account, Channel: pb.Channel(f.Channel), Language: f.Language, From: f.From, To: f.To, SecondsToFinish: f.Finish.Seconds(),
		})
	}
	for _, t := range p.Texts {
		out.Texts = append(out.Texts, &pb.PreviewResponse_Text{Language: t.Language, Channel: pb.Channel(t.Channel), Kind: pb.Type(t.Kind), Segments: t.Segments, Coding: t.Coding})
	}
	return out
}

func unitsTo(list []dispatcher.PreviewUnit) (out []*pb.PreviewResponse_Unit) {
	for _, u := range list {
		out = append(out, &pb.PreviewResponse_Unit{Code: u.Code, Name: u.Name, People: u.People, Residents: u.Residents, Few: u.Few})
	}
	return out
}

func toldTo(list []warning.Told) (out []*pb.Told) {
	for _, t := range list {
		told := &pb.Told{Duty: t.Duty.String()}
		for _, step := range t.Steps {
			to := &pb.Told_Step{AfterS: int64(step.After.Seconds())}
			for _, ch := range step.Channels {
				to.Channels = append(to.Channels, pb.Channel(ch))
			}
			told.Steps = append(told.Steps, to)
		}
		out = append(out, told)
	}
	return out
}

func lanesTo(lanes []dispatcher.LaneCounts) (out []*pb.LaneCounts) {
	for _, l := range lanes {
		c := l.Counts
		out = append(out, &pb.LaneCounts{
			Channel: pb.Channel(l.Channel), Planned: l.Planned,
			Waiting: c[warning.Waiting], Sending: c[warning.Sending], HandedOver: c[warning.HandedOver],
			Delivered: c[warning.Delivered], Undelivered: c[warning.Undelivered], Refused: c[warning.Refused],
			Expired: c[warning.ExpiredOut], Cancelled: c[warning.CancelledIn], Superseded: c[warning.Superseded],
			Moved: c[warning.Moved], Withdrawn: c[warning.Withdrawn], Unknown: c[warning.Unknown],
			Balanced: l.Balanced, Segments: int32(l.Segments), Messages: l.Messages,
			FirstMessageAt: timeTo(l.First), LastMessageAt: timeTo(l.Last), FinishAt: timeTo(l.Finish),
			PossibleRepeats: l.PossibleRepeats, Rerouted: l.Rerouted, RecallAsked: l.RecallAsked, Recalled: l.Recalled,
		})
	}
	return out
}

func (s *Server) progressTo(p dispatcher.Progress, c dispatcher.Caller) *pb.WatchResponse {
	p = p.For(c)
	return &pb.WatchResponse{
		Warning: s.warningTo(p.Warning, c), Lanes: lanesTo(p.Lanes), Planned: p.Planned, Few: p.Few, InArea: p.InArea,
		PeoplePerS: p.People, MessagesPerS: p.Messages, ContractMessagesPerS: p.Contract,
	}
}

func (s *Server) reportTo(r dispatcher.Report, c dispatcher.Caller) *pb.ReportResponse {
	r = r.For(c)
	out := &pb.ReportResponse{
		Warning: s.warningTo(r.Warning, c), Lanes: lanesTo(r.Lanes), Few: r.Few, InArea: r.InArea, Entered: r.Entered, Addressable: r.Addressable,
		Planned: r.Planned, NoAddress: r.NoAddress, OptedOut: r.OptedOut, NoRoute: r.NoRoute, Untold: r.Untold, Delivered: r.Delivered, HandedOver: r.HandedOver,
		NotReached: r.NotReached, Waiting: r.Waiting, FinishedAt: timeTo(r.Finished),
		ByDistrict: rowsTo(r.ByDistrict), ByCarrier: rowsTo(r.ByCarrier), ByMinute: rowsTo(r.ByMinute),
		PeoplePerS: r.PeopleRate, MessagesPerS: r.MessageRate,
		TimeToFirstMs: float64(r.ToFirst) / float64(time.Millisecond), TimeToLastS: r.ToLast.Seconds(),
		Durability: r.Durability, UnknownReceipts: r.Unmatched, LateReceipts: r.Late, RecordSeal: r.Seal, Plays: playsTo(r.Plays),
	}
	for _, w := range r.WhyNot {
		out.WhyNot = append(out.WhyNot, &pb.ReportResponse_Why{Reason: w.Reason, People: w.People})
	}
	for _, a := range r.Accounts {
		out.Accounts = append(out.Accounts, &pb.ReportResponse_Account{
			Account: a.Account, ContractMessagesPerS: a.Contract, MaxMessagesInAnySecond: a.MaxInAnySecond, ContractUsed: a.Used, Messages: a.Messages,
		})
	}
	return out
}

func rowsTo(rows []dispatcher.ReportRow) (out []*pb.ReportResponse_Row) {
	for _, r := range rows {
		out = append(out, &pb.ReportResponse_Row{
			Key: r.Key, Name: r.Name, Planned: r.Planned, Delivered: r.Delivered, HandedOver: r.HandedOver, NotReached: r.NotReached, Waiting: r.Waiting,
			Moved: r.Moved, Few: r.Few,
		})
	}
	return out
}

func whoTo(w dispatcher.Who) *pb.WhoResponse {
	out := &pb.WhoResponse{Number: w.Number, Known: w.Known, District: w.District, Since: timeTo(w.Since)}
	for _, m := range w.Messages {
		row := &pb.WhoResponse_Message{
			WarningId: m.Warning, EventName: m.EventName, Tier: m.Tier.String(), Channel: pb.Channel(m.Channel),
			Account: m.Account, Reason: m.Reason, HandedOverAt: timeTo(m.HandedOver), ReceiptAt: timeTo(m.Receipt), Excluded: m.Excluded,
		}
		if m.Excluded == "" {
			row.State = m.State.String()
		}
		out.Messages = append(out.Messages, row)
	}
	return out
}

func accountTo(a dispatcher.AccountHealth) *pb.Account {
	out := &pb.Account{
		Name: a.Name, Protocol: a.Protocol, ContractMessagesPerS: a.Contract, Paused: a.Paused, RateSetByHand: a.RateSetByHand,
		Owner: a.Owner, Epoch: int64(min(a.Epoch, math.MaxInt64)), Health: string(a.Health), WaitingPeople: a.WaitingPeople,
		MessagesLast_10S: a.Messages10s, ContractUsedLast_10S: a.Used10s, MaxMessagesInAnySecond: a.MaxInAnySecond,
		LastError: a.LastError, Simulated: a.Simulated, Window: int32(a.Window), ConfiguredMessagesPerS: a.Configured,
		Why: a.Why, By: a.By, SlowedTo: a.Slowed, RouteShare: a.Route.Share, RouteWhy: a.Route.Why, RouteSince: timeTo(a.Route.Since),
	}
	if t := a.Route.Test; t != nil {
		out.Test = &pb.LinkTest{
			At: timeTo(t.At), Ok: t.OK, Outcome: t.Outcome, Reason: t.Reason, AnswerMs: ms(t.Answer), Receipt: t.Receipt, ReceiptMs: ms(t.ReceiptTook),
		}
	}
	for _, l := range a.Links {
		out.Links = append(out.Links, &pb.Link{Index: int32(l.Index), Up: l.Up, Open: int32(l.Open), LastError: l.LastError, Since: timeTo(l.Since)})
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func playsTo(list []dispatcher.ReportPlay) []*pb.Play {
	out := make([]*pb.Play, len(list))
	for i, p := range list {
		out[i] = &pb.Play{
			Platform: p.Platform, Channel: pb.Channel(p.Channel), State: p.State.String(), Why: p.Why, Serial: p.Serial,
			Messages: int32(p.Messages), FirstAt: timeTo(p.First), CoverageRate: -1,
		}
		if c := p.Coverage; c != nil {
			out[i].Coverage, out[i].CoverageRate, out[i].EndsReached, out[i].EndsFailed = c.State, c.Rate, c.Reached, c.Failed
		}
	}
	return out
}
