package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tocsin/dispatcher/wiring"
	"tocsin/geofence"
	pb "tocsin/proto/tocsin/v1"
)

// specFlags is a warning as flags, or as a file.
type specFlags struct {
	tier, event, eventName, status string
	areas, geojson, issuers        []string
	channels                       []string
	follows                        string
	text, textEN, file, capTable   string
	lang                           string
	house                          []byte // the table of the house, for CAP messages
	asOf, until, crs               string
	lasts                          time.Duration
	again, clip                    bool
	given                          func(flag string) bool // nil: none was

	imported func() ([]geofence.OutlinedUnit, error) // the units that the engine has outlines of beside the shipped ones; nil: nobody can be asked
}

func describes(c *cobra.Command) *specFlags {
	f := c.Flags()
	s := &specFlags{given: f.Changed}
	f.StringVar(&s.tier, "tier", "", "red, orange, yellow, blue or notice")
	f.StringVar(&s.event, "event", "", "the danger by name or code, e.g. 暴雨, rainstorm or 11B03")
	f.StringVar(&s.eventName, "event-name", "", "the danger as people call it (default: the name of the code)")
	f.StringArrayVar(&s.areas, "area", nil, "district or town by code or name, e.g. 开州区/铁桥镇; may be repeated")
	f.StringVar(&s.asOf, "as-of", "", "day whose districts are meant, e.g. 2025-11-05 (default: today)")
	f.StringArrayVar(&s.geojson, "geojson", nil, "file with a drawn area (RFC 7946); may be repeated")
	f.StringVar(&s.crs, "crs", "", "coordinate system of the drawn areas: wgs84, gcj02, bd09 or cgcs2000 (default: wgs84, as RFC 7946 says)")
	f.DurationVar(&s.lasts, "for", 0, "how long it holds, e.g. 6h; never assumed")
	f.StringVar(&s.until, "until", "", "end of validity instead, e.g. 2026-06-13T18:00:00+08:00")
	f.StringVar(&s.status, "status", "", "actual, exercise or public_drill; there is no default")
	f.StringArrayVar(&s.issuers, "issuer", nil, "who issues it; may be repeated")
	f.StringVar(&s.text, "text", "", "the words in zh-CN")
	f.StringVar(&s.textEN, "text-en", "", "the words in English")
	f.StringSliceVar(&s.channels, "channels", nil, "sms, flash_sms, broadcast, push; several separated by commas, for everybody at once (default: by the channel table of the policy)")
	f.StringVar(&s.follows, "update", "", "identifier of the warning that this one updates")
	f.StringVar(&s.file, "file", "", "the whole warning as JSON or YAML, as the contract names it, or as a CAP message (.xml); flags win over it")
	f.StringVar(&s.capTable, "cap-table", "", "table of severities and events for CAP messages (default: the one of the house)")
	f.BoolVar(&s.again, "again", false, "an identical warning is known, and this one is meant all the same")
	f.BoolVar(&s.clip, "clip", false, "cut the area at the border of the jurisdiction; preview shows what is left")
	return s
}

// spec is the warning that the flags and the file say, as of now. What is missing stays missing: the engine names it.
func (s *specFlags) spec(now time.Time) (*pb.WarningSpec, error) {
	w := &pb.WarningSpec{Type: pb.Type_TYPE_ALERT}
	switch {
	case s.isCAP():
		var err error
		if w, err = (wiring.CAPFile{Path: s.file, Table: s.capTable, House: s.house, Language: s.lang, Said: s.said()}).Spec(now); err != nil {
			return nil, err
		}
	case s.file != "":
		if err := readSpec(s.file, w); err != nil {
			return nil, err
		}
	}
	if s.follows != "" {
		w.Type, w.References = pb.Type_TYPE_UPDATE, []string{s.follows}
	}
	if len(s.channels) > 0 {
		w.Channels = nil
	}
	for _, name := range s.channels {
		ch := pb.Channel(pb.Channel_value["CHANNEL_"+strings.ToUpper(name)])
		if ch == pb.Channel_CHANNEL_UNSPECIFIED {
			return nil, usage(fmt.Errorf("--channels %q: say sms, flash_sms, broadcast or push", name))
		}
		w.Channels = append(w.Channels, ch)
	}
	if s.tier != "" {
		if w.Tier = wiring.TierNamed(s.tier); w.Tier == pb.Tier_TIER_UNSPECIFIED {
			return nil, usage(fmt.Errorf("--tier %q: say red, orange, yellow, blue or notice", s.tier))
		}
	}
	if s.status != "" {
		if w.Status = pb.Status(pb.Status_value["STATUS_"+strings.ToUpper(s.status)]); w.Status == pb.Status_STATUS_UNSPECIFIED {
			return nil, usage(fmt.Errorf("--status %q: say actual, exercise or public_drill", s.status))
		}
	}
	if s.event != "" {
		var err error
		if w.Event, err = wiring.EventCode(s.event); err != nil {
			return nil, usage(err)
		}
	}
	if s.eventName != "" {
		w.EventName = s.eventName
	}
	if s.lasts != 0 {
		w.Expires = timestamppb.New(now.Add(s.lasts))
	}
	if s.until != "" && s.lasts != 0 {
		return nil, usage(errors.New("--for and --until say the same in two ways: say one"))
	}
	if s.until != "" {
		end, err := time.Parse(time.RFC3339, s.until)
		if err != nil {
			return nil, usage(fmt.Errorf("--until %q is no time: say it as 2026-06-13T18:00:00+08:00", s.until))
		}
		w.Expires = timestamppb.New(end)
	}
	if len(s.issuers) > 0 {
		w.Issuers = s.issuers
	}
	if len(s.areas)+len(s.geojson) > 0 {
		w.Areas = nil // those that are said take the place of those of the file
	}
	if s.text+s.textEN != "" {
		w.Words = slices.DeleteFunc(w.Words, func(t *pb.Words) bool { return t.GetKind() == pb.Type_TYPE_ALERT || t.GetKind() == pb.Type_TYPE_UPDATE })
	}
	w.Again, w.Clip = w.GetAgain() || s.again, w.GetClip() || s.clip
	for _, t := range []struct{ flag, language, text string }{{"text", "zh-CN", s.text}, {"text-en", "en", s.textEN}} {
		switch {
		case s.given != nil && s.given(t.flag) && strings.TrimSpace(t.text) == "":
			return nil, usage(fmt.Errorf("--%s is empty: write the words, or leave it out", t.flag))
		case t.text != "":
			w.Words = append(w.Words, &pb.Words{Language: t.language, Kind: pb.Type_TYPE_ALERT, Text: t.text})
		}
	}
	if err := s.units(w); err != nil {
		return nil, err
	}
	for _, path := range s.geojson {
		b, err := readText(path)
		if err != nil {
			return nil, err
		}
		w.Areas = append(w.Areas, &pb.Area{Name: drawnName(b), Where: &pb.Area_Geojson{Geojson: string(b)}, GeojsonCrs: s.crs})
	}
	return w, nil
}

// drawnName is what a feature says that people call it (RFC 7946, 3.2: properties); empty where it says nothing.
func drawnName(geojson []byte) string {
	var f struct {
		Properties struct {
			Name string `json:"name"`
		} `json:"properties"`
	}
	_ = json.Unmarshal(geojson, &f) // what is no GeoJSON the engine refuses, with the place
	return f.Properties.Name
}

// asked is the spec, with what only the engine knows: the names of imported units, and for a CAP message its table and the
// warnings that it follows.
func (s *specFlags) asked(ctx context.Context, conn grpc.ClientConnInterface, now time.Time) (w *pb.WarningSpec, err error) {
	api := pb.NewWarningServiceClient(conn)
	s.imported = func() ([]geofence.OutlinedUnit, error) {
		return wiring.ImportedUnits(ctx, pb.NewDirectoryServiceClient(conn))
	}
	if s.isCAP() && s.capTable == "" {
		if s.house, err = wiring.HouseTable(ctx, api); err != nil {
			return nil, err
		}
	}
	if w, err = s.spec(now); err == nil && s.isCAP() {
		err = wiring.FollowCAP(ctx, api, w)
	}
	return w, err
}

func (s *specFlags) isCAP() bool { return strings.HasSuffix(s.file, ".xml") }

// said is the fields that flags speak of.
func (s *specFlags) said() (fields []string) {
	for _, f := range []struct {
		field string
		said  bool
	}{
		{"tier", s.tier != ""}, {"status", s.status != ""}, {"event", s.event != ""}, {"expires", s.lasts != 0 || s.until != ""},
		{"areas", len(s.areas)+len(s.geojson) > 0}, {"words", s.text+s.textEN != ""}, {"issuers", len(s.issuers) > 0},
	} {
		if f.said {
			fields = append(fields, f.field)
		}
	}
	return fields
}

// units adds the districts, of the day that was said.
func (s *specFlags) units(w *pb.WarningSpec) error {
	day, asOf := time.Now(), (*timestamppb.Timestamp)(nil)
	if s.asOf != "" {
		var err error
		if day, err = geofence.Day(s.asOf); err != nil {
			return usage(fmt.Errorf("--as-of %q is no day: say it as 2025-11-05", s.asOf))
		}
		asOf = timestamppb.New(day)
	}
	for _, a := range s.areas {
		code, name, err := unit(a, day, s.imported)
		if err != nil {
			return err
		}
		w.Areas = append(w.Areas, &pb.Area{Name: name, Where: &pb.Area_Unit{Unit: code}, AsOf: asOf})
	}
	return nil
}

// readSpec reads a file of JSON, or of YAML, which is its superset, strictly by the names of the contract.
func readSpec(path string, w *pb.WarningSpec) error {
	b, err := readText(path)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(path, ".json") {
		var doc yaml.Node
		if err := yaml.Unmarshal(b, &doc); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		asWritten(&doc)
		var tree any
		if err := doc.Decode(&tree); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if b, err = jsonOf(tree); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := protojson.Unmarshal(b, w); err != nil {
		if strings.HasSuffix(path, ".json") {
			return fmt.Errorf("%s: %w", path, err)
		}
		return fmt.Errorf("%s: %s", path, inJSON.ReplaceAllString(err.Error(), "")) // of YAML the place is another
	}
	return nil
}

// inJSON is where JSON has a fault.
var inJSON = regexp.MustCompile(`\(line \d+:\d+\): `)

// readText reads a file without the mark that some editors put in front.
func readText(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	return bytes.TrimPrefix(b, []byte("\uFEFF")), err
}

// asWritten leaves times and numbers to the contract. YAML takes a time without an offset for UTC, the event 11E02 for 1100,
// and the unit 500101 for no text.
func asWritten(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		switch n.ShortTag() {
		case "!!timestamp", "!!float", "!!int":
			n.Tag = "!!str"
		}
	}
	for _, c := range n.Content {
		asWritten(c)
	}
}

// unit is the code and name of a district or town given by code or name; imported (nil: none) is those that are in no list. An
// unknown code is left to the engine, which says what is wrong with it; a name that means several is refused with all of them.
func unit(s string, day time.Time, imported func() ([]geofence.OutlinedUnit, error)) (code, name string, err error) {
	if strings.Trim(s, "0123456789") == "" && s != "" {
		return s, "", nil
	}
	found := geofence.UnitsNamed(s, day)
	if len(found) == 0 && imported != nil {
		units, err := imported()
		if err != nil {
			return "", "", err
		}
		found = geofence.NamedAmong(s, units)
	}
	switch {
	case len(found) == 1 && found[0].Sure():
		return found[0].Code, strings.ReplaceAll(found[0].Name, "/", ""), nil
	case len(found) == 1 && found[0].AsOf != "":
		return "", "", usage(fmt.Errorf("--area %q: %s ended after %s: say --as-of %s for those who lived in it then, or draw the area", s, found[0].Name, found[0].AsOf, found[0].AsOf))
	case len(found) == 1:
		return "", "", usage(fmt.Errorf("--area %q: %s; say %s if all of that is meant, or draw the area", s, found[0].Note, found[0].Name))
	case len(found) == 0:
		return "", "", usage(fmt.Errorf("--area %q is neither a district nor a town: `tocsin area find %s` looks for places in it, `tocsin directory stats` lists the districts", s, s))
	default:
		names := make([]string, len(found))
		for i, n := range found {
			names[i] = n.Name
		}
		return "", "", usage(fmt.Errorf("--area %q means several: say %s", s, strings.Join(names, " or ")))
	}
}

// made is when a key was made. What a submission says of time counts from there, so that the same command with the
// same key says the same.
func made(key string) (time.Time, error) {
	id, err := ulid.ParseStrict(key)
	if err != nil {
		return time.Time{}, err
	}
	return id.Timestamp(), nil
}

// clocksApart is more than a call takes.
const clocksApart = time.Minute

// shown is a warning as whoever decides over it must see it.
func (k *client) shown(w *pb.Warning) []string {
	return []string{k.language().Warning(w), k.language().Holds(w)}
}

func newSubmit() *cobra.Command {
	c := &cobra.Command{
		Use: "submit", Short: "Submit a warning; it leaves when everybody has approved whom the policy asks for",
		Args: upTo(0),
		Example: `  tocsin submit --tier orange --event 11B03 --area 万州 --area 500102 --for 6h --status exercise \
    --issuer 重庆市气象台 --text '重庆市气象台发布暴雨橙色预警,请注意防范。'
  tocsin submit --file alert.xml --tier orange --status exercise`,
	}
	k, s := calls(c).answers(c).changes(c), describes(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return k.act(func(conn *grpc.ClientConn, key string) error {
			now, err := made(key)
			if err != nil && s.lasts != 0 {
				return usage(errors.New("with a --key of your own say --until instead of --for: a repeat must say the same"))
			}
			api := pb.NewWarningServiceClient(conn)
			s.lang = k.lang
			spec, err := s.asked(c.Context(), conn, now)
			if err != nil {
				return err
			}
			if spec.GetType() == pb.Type_TYPE_CANCEL {
				return k.cancelAll(c, api, key, spec)
			}
			r, err := api.Submit(c.Context(), &pb.SubmitRequest{Key: key, Warning: spec})
			if err != nil {
				return err
			}
			if d := r.GetWarning().GetSubmittedAt().AsTime().Sub(now); s.lasts != 0 && d.Abs() > clocksApart {
				fmt.Fprintln(c.ErrOrStderr(), k.language().Clocks(now, r.GetWarning()))
			}
			return k.put(c.OutOrStdout(), r, append(k.shown(r.GetWarning()), k.language().Preview(r.GetPreview())...)...)
		})
	}
	return c
}

// cancelAll cancels the warnings that a cancel refers to. One that cannot be does not keep the others from it.
func (k *client) cancelAll(c *cobra.Command, api pb.WarningServiceClient, key string, spec *pb.WarningSpec) (first error) {
	for _, id := range spec.GetReferences() {
		own := fmt.Sprintf("%.37s/%s", key, id) // each act has its own, also at a repeat that finds fewer left
		r, err := api.Cancel(c.Context(), &pb.CancelRequest{Key: own, Id: id, Why: "message " + spec.GetSourceId()})
		if err == nil {
			err = k.put(c.OutOrStdout(), r, k.language().Warning(r.GetWarning()))
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func newPreview() *cobra.Command {
	c := &cobra.Command{
		Use: "preview [ID]", Short: "Say who would get what, and record nothing", Args: upTo(1),
		Example: "  tocsin preview --tier red --event 11A51 --geojson valley.geojson --for 2h --status exercise --issuer 县气象台 --text '山洪!请立即转移。'",
	}
	k, s := calls(c).answers(c), describes(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return k.with(func(conn *grpc.ClientConn) error {
			api := pb.NewWarningServiceClient(conn)
			req := &pb.PreviewRequest{}
			if len(args) == 1 {
				req.What = &pb.PreviewRequest_Id{Id: args[0]}
			} else {
				s.lang = k.lang
				spec, err := s.asked(c.Context(), conn, time.Now())
				if err != nil {
					return err
				}
				if spec.GetType() == pb.Type_TYPE_CANCEL {
					return usage(errors.New("a cancel goes to whom its warnings reached: submit carries it out, `tocsin report ID` says whom they reached"))
				}
				req.What = &pb.PreviewRequest_Warning{Warning: spec}
			}
			r, err := api.Preview(c.Context(), req)
			if err != nil {
				return err
			}
			return k.put(c.OutOrStdout(), r, k.language().Preview(r)...)
		})
	}
	return c
}
