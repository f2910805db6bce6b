package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// maxViolations is how many violations of the contract one refusal lists; more help nobody, and would not fit into an
// answer.
const maxViolations = 20

// remedies says what to do about a rule of the contract, by the end of the rule's name.
var remedies = []struct{ suffix, remedy string }{
	{"required", "give it; it is never assumed"},
	{"min_len", "give it"},
	{"min_items", "give at least as many"},
	{"max_len", "make it shorter"},
	{"max_items", "send fewer"},
	{"pattern", "write it in that form"},
	{".in", "use one of them"},
	{"not_in", "say one; there is no default"},
	{"defined_only", "use a value of the contract"},
	{"unique", "name each once"},
}

func remedyFor(field, rule string) string {
	if strings.HasSuffix(field, ".lon") || strings.HasSuffix(field, ".lat") {
		return "longitude is -180 to 180 and latitude -90 to 90; if they are swapped, write longitude first"
	}
	if strings.HasSuffix(field, "number") && strings.HasSuffix(rule, "pattern") {
		return "give the digits with the country code, without plus, blanks or dashes"
	}
	if field == "digest" {
		return "copy it whole, as preview shows it"
	}
	for _, r := range remedies {
		if strings.HasSuffix(rule, r.suffix) {
			return r.remedy
		}
	}
	return "give a value within the limits"
}

// contract is what m breaks of the rules that stand in the .proto files.
func (s *Server) contract(m proto.Message) ([]warning.Violation, error) {
	err := s.rules.Validate(m)
	if err == nil {
		return nil, nil
	}
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) {
		return nil, err
	}
	var out []warning.Violation
	for _, v := range broken.Violations[:min(maxViolations, len(broken.Violations))] {
		field, rule := protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetRuleId()
		out = append(out, warning.Violation{Field: field, Rule: rule, Detail: v.Proto.GetMessage(), Remedy: remedyFor(field, rule)})
	}
	return out, nil
}

// checked refuses a request that breaks the contract. One that holds a spec is checked by spec instead, which adds
// what a warning cannot mean, so that the caller learns everything at once.
func (s *Server) checked(m any) error {
	if specIn(m) != nil {
		return nil
	}
	vs, err := s.contract(m.(proto.Message))
	if err != nil {
		return err
	}
	if len(vs) > 0 {
		return warning.Invalid(vs...)
	}
	return nil
}

func specIn(m any) *pb.WarningSpec {
	if r, ok := m.(interface{ GetWarning() *pb.WarningSpec }); ok {
		return r.GetWarning()
	}
	return nil
}

// spec is the spec that the request holds, or every violation: of a field the words of the package warning win over
// those of the contract.
func (s *Server) spec(req proto.Message) (warning.Spec, error) {
	formal, err := s.contract(req)
	if err != nil {
		return warning.Spec{}, err
	}
	spec, vs := specFrom(specIn(req), s.GeoJSON)
	var invalid *warning.Error
	if err := spec.Validate(s.Now()); errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			vs = addUnlessSaid(vs, v)
		}
	}
	for _, v := range formal {
		vs = addUnlessSaid(vs, v)
	}
	if slices.ContainsFunc(vs, func(v warning.Violation) bool { return !engines[v.Rule] }) {
		return warning.Spec{}, warning.Invalid(vs...)
	}
	return spec, nil
}

// engines is the rules that depend on when they are asked, or on words that are still to be made. Where nothing else is wrong
// the engine judges them: it answers the repeat of a submission that it has, whatever the time, and makes the words.
var engines = map[string]bool{"expires.past": true, "expires.far": true, "words.missing": true}

// addUnlessSaid adds v unless a violation of the same field, or of a field inside it, stands there already.
func addUnlessSaid(vs []warning.Violation, v warning.Violation) []warning.Violation {
	if slices.ContainsFunc(vs, func(o warning.Violation) bool {
		return o.Field == v.Field || strings.HasPrefix(o.Field, v.Field+".")
	}) {
		return vs
	}
	return append(vs, v)
}

func (s *Server) checkUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := s.checked(req); err != nil {
		return nil, statusOf(s.Log, err)
	}
	return handle(ctx, req)
}

func (s *Server) checkStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(srv, &checkedStream{stream, s})
}

// checkedStream checks every message as it is received.
type checkedStream struct {
	grpc.ServerStream
	s *Server
}

func (c *checkedStream) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := c.s.checked(m); err != nil {
		return statusOf(c.s.Log, err)
	}
	return nil
}

// specFrom maps a spec as far as it can be mapped, with what the areas break; geoJSON is Options.GeoJSON.
func specFrom(p *pb.WarningSpec, geoJSON func(field string, text []byte) (warning.Area, error)) (warning.Spec, []warning.Violation) {
	spec := warning.Spec{
		Event: p.GetEvent(), EventName: p.GetEventName(),
		Tier: warning.Tier(p.GetTier()), Status: warning.Status(p.GetStatus()), Type: warning.Type(p.GetType()),
		Onset: timeFrom(p.GetOnset()), Expires: timeFrom(p.GetExpires()),
		Issuers: p.GetIssuers(), EventID: p.GetEventId(), Stage: p.GetStage(), References: p.GetReferences(),
		Again: p.GetAgain(), Clip: p.GetClip(),
	}
	if known, ok := warning.EventOf(spec.Event); ok && spec.EventName == "" {
		spec.EventName = known.Chinese // what is recorded names the danger for people
	}
	if f := p.GetFocus(); f != nil {
		spec.Focus = &warning.Focus{Points: pointsFrom(f.GetPoints()), CRS: f.GetCrs(), Speed: f.GetSpeedMPerS(), Bearing: f.GetBearingDeg()}
	}
	for _, w := range p.GetWords() {
		spec.Words = append(spec.Words, warning.Words{
			Language: w.GetLanguage(), Channel: warning.Channel(w.GetChannel()), Kind: warning.Type(w.GetKind()), Text: w.GetText(),
		})
	}
	for _, c := range p.GetChannels() {
		spec.Channels = append(spec.Channels, warning.Channel(c))
	}
	var vs []warning.Violation
	for i, a := range p.GetAreas() {
		at := fmt.Sprintf("warning.areas[%d]", i)
		area := warning.Area{Name: a.GetName(), Unit: a.GetUnit(), AsOf: timeFrom(a.GetAsOf()), Edition: a.GetEdition()}
		if len(area.Unit) == 12 { // a district in the twelve digits of statistics
			area.Unit = strings.TrimSuffix(area.Unit, "000000")
		}
		switch where := a.GetWhere().(type) {
		case *pb.Area_Polygons:
			area.CRS = where.Polygons.GetCrs()
			area.Polygons = partsFrom(where.Polygons)
		case *pb.Area_Geojson:
			drawn, err := geoJSON(at+".geojson", []byte(where.Geojson))
			vs = append(vs, violationsOf(at+".geojson", err)...)
			if err != nil {
				// The violation above says it; what stands here only keeps Validate from saying it again.
				drawn = warning.Area{Polygons: [][]warning.Ring{{}}, CRS: "wgs84"}
			}
			area.CRS, area.Polygons = cmp.Or(a.GetGeojsonCrs(), drawn.CRS), drawn.Polygons
		case *pb.Area_Circle:
			centre := where.Circle.GetCentre()
			area.CRS = where.Circle.GetCrs()
			area.Circle = &warning.Circle{Centre: warning.Point{centre.GetLon(), centre.GetLat()}, Radius: where.Circle.GetRadiusM()}
		}
		if a.GetGeojsonCrs() != "" && a.GetGeojson() == "" {
			vs = append(vs, warning.Violation{Field: at + ".geojson_crs", Rule: "area.crs", Detail: "a coordinate system without its GeoJSON", Remedy: "say it in crs beside the polygons or the circle"})
		}
		spec.Areas = append(spec.Areas, area)
	}
	var bad *warning.Error
	if err := warning.CheckNationalID(p.GetNationalId()); errors.As(err, &bad) {
		vs = append(vs, bad.Violations...)
	}
	return spec, vs
}

// violationsOf is what err says was wrong with field.
func violationsOf(field string, err error) []warning.Violation {
	if err == nil {
		return nil
	}
	var e *warning.Error
	if errors.As(err, &e) && len(e.Violations) > 0 {
		return e.Violations
	}
	return []warning.Violation{{Field: field, Rule: "area.geojson", Detail: err.Error(), Remedy: "send a GeoJSON geometry, feature or collection (RFC 7946)"}}
}

func partsFrom(p *pb.Polygons) [][]warning.Ring {
	var parts [][]warning.Ring
	for _, poly := range p.GetParts() {
		var rings []warning.Ring
		for _, r := range poly.GetRings() {
			rings = append(rings, pointsFrom(r.GetPoints()))
		}
		parts = append(parts, rings)
	}
	return parts
}

func pointsFrom(points []*pb.Point) []warning.Point {
	out := make([]warning.Point, len(points))
	for i, p := range points {
		out[i] = warning.Point{p.GetLon(), p.GetLat()}
	}
	return out
}
