package identity

import (
	"maps"
	"slices"
	"strings"

	"tocsin/warning"
)

// right says who may call a method.
type right struct {
	open   bool                           // without a token
	blind  bool                           // while the store is away, with a token that was good when it was asked last
	scopes map[warning.Role]warning.Scope // with a token of one of these roles, for the warnings of its scope
}

func (r right) String() string {
	names := make([]string, 0, len(r.scopes))
	for _, role := range slices.Sorted(maps.Keys(r.scopes)) {
		names = append(names, role.String())
	}
	return strings.Join(names, ", ")
}

func only(s warning.Scope, roles ...warning.Role) right {
	return right{}.and(s, roles...)
}

// alsoBlind is for what shows that the store is away; it must say nothing of people.
func (r right) alsoBlind() right {
	r.blind = true
	return r
}

func (r right) and(s warning.Scope, roles ...warning.Role) right {
	r.scopes = maps.Clone(r.scopes)
	if r.scopes == nil {
		r.scopes = map[warning.Role]warning.Scope{}
	}
	for _, role := range roles {
		r.scopes[role] = s
	}
	return r
}

// rights is who may call what, for which warnings; a method without a row is refused to everybody. docs/roles.md says the
// same to people, and a test holds both against the running interceptors.
var rights = func() map[string]right {
	const (
		forecaster = warning.Forecaster
		approver   = warning.Approver
		commander  = warning.Commander
		engineer   = warning.Engineer
		loadTester = warning.LoadTester
		viewer     = warning.Viewer

		all       = warning.Everything
		own       = all &^ warning.ScopeOthers // whoever submitted a warning may stop it
		others    = all &^ warning.ScopeOwn &^ warning.ScopeOutside
		inside    = all &^ warning.ScopeOutside
		exercises = inside &^ warning.ScopeReal // a load tester never speaks to real people
	)
	everybody := only(all, forecaster, approver, commander, engineer, loadTester, viewer)
	stops := only(all, approver, commander).and(own, forecaster, loadTester)
	anonymous := right{open: true}

	return map[string]right{
		"/tocsin.v1.WarningService/Submit":           only(inside, forecaster).and(exercises, loadTester),
		"/tocsin.v1.WarningService/Preview":          only(all, forecaster, loadTester, approver, commander),
		"/tocsin.v1.WarningService/Approve":          only(others, approver, commander),
		"/tocsin.v1.WarningService/Reject":           only(all, approver, commander),
		"/tocsin.v1.WarningService/Hold":             stops,
		"/tocsin.v1.WarningService/Release":          only(inside, commander),
		"/tocsin.v1.WarningService/EmergencyRelease": only(inside, commander),
		"/tocsin.v1.WarningService/Cancel":           stops,
		"/tocsin.v1.WarningService/AllClear":         only(all, forecaster, approver, commander).and(own, loadTester), // the next shift lifts what the last one issued
		"/tocsin.v1.WarningService/Broadcast":        only(inside, commander),
		"/tocsin.v1.WarningService/Get":              everybody,
		"/tocsin.v1.WarningService/List":             everybody,
		"/tocsin.v1.WarningService/Watch":            everybody,
		"/tocsin.v1.WarningService/Report":           everybody,
		"/tocsin.v1.WarningService/CapTable":         everybody,
		"/tocsin.v1.WarningService/Who":              only(all, commander),

		"/tocsin.v1.AuthorityService/ListReviews": everybody,
		"/tocsin.v1.AuthorityService/CloseReview": only(all&^warning.ScopeOwn, approver, commander),
		"/tocsin.v1.AuthorityService/ShowPolicy":  everybody,
		"/tocsin.v1.AuthorityService/AgreePolicy": only(all, approver, commander),

		"/tocsin.v1.DirectoryService/Import":        only(all, engineer, loadTester),
		"/tocsin.v1.DirectoryService/ImportState":   only(all, engineer, loadTester),
		"/tocsin.v1.DirectoryService/Change":        only(all, engineer),
		"/tocsin.v1.DirectoryService/Move":          only(all, engineer, loadTester),
		"/tocsin.v1.DirectoryService/Stats":         everybody,
		"/tocsin.v1.DirectoryService/ImportEdition": only(all, engineer),
		"/tocsin.v1.DirectoryService/ListEditions":  everybody,

		"/tocsin.v1.ChannelService/List":      everybody,
		"/tocsin.v1.ChannelService/Pause":     only(all, engineer),
		"/tocsin.v1.ChannelService/Resume":    only(all, engineer),
		"/tocsin.v1.ChannelService/SetRate":   only(all, engineer),
		"/tocsin.v1.ChannelService/ResetRate": only(all, engineer),
		"/tocsin.v1.ChannelService/Probe":     only(all, engineer),

		"/tocsin.v1.HouseService/Status": everybody.alsoBlind(),
		"/tocsin.v1.HouseService/Reload": only(all, engineer),

		"/tocsin.v1.DutyService/Set":  only(all, forecaster, approver, commander),
		"/tocsin.v1.DutyService/List": everybody,

		// A load balancer has no token; health says nothing of warnings or people.
		"/grpc.health.v1.Health/Check": anonymous,
		"/grpc.health.v1.Health/Watch": anonymous,
		"/grpc.health.v1.Health/List":  anonymous,

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      everybody,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": everybody,
	}
}()
