package identity

import (
	"strings"

	"tocsin/warning"
)

// right says who may call a method.
type right struct {
	open  bool           // without a token
	roles []warning.Role // with a token of one of these roles
}

func (r right) includes(role warning.Role) bool {
	for _, x := range r.roles {
		if x == role {
			return true
		}
	}
	return false
}

func (r right) String() string {
	names := make([]string, len(r.roles))
	for i, role := range r.roles {
		names[i] = role.String()
	}
	return strings.Join(names, ", ")
}

func only(roles ...warning.Role) right { return right{roles: roles} }

// rights is who may call what; a method without a row is refused to everybody. What depends on the warning stands with
// the engine: a forecaster or load tester holds and cancels only what they submitted, an approver never approves what
// they submitted, and a load tester never submits what reaches real people.
var rights = func() map[string]right {
	const (
		forecaster = warning.Forecaster
		approver   = warning.Approver
		commander  = warning.Commander
		engineer   = warning.Engineer
		loadTester = warning.LoadTester
		viewer     = warning.Viewer
	)
	everybody := only(forecaster, approver, commander, engineer, loadTester, viewer)
	anonymous := right{open: true}

	return map[string]right{
		"/tocsin.v1.WarningService/Submit":    only(forecaster, loadTester),
		"/tocsin.v1.WarningService/Preview":   only(forecaster, loadTester, approver, commander),
		"/tocsin.v1.WarningService/Approve":   only(approver, commander),
		"/tocsin.v1.WarningService/Reject":    only(approver, commander),
		"/tocsin.v1.WarningService/Hold":      only(forecaster, loadTester, approver, commander),
		"/tocsin.v1.WarningService/Release":   only(commander),
		"/tocsin.v1.WarningService/Cancel":    only(forecaster, loadTester, approver, commander),
		"/tocsin.v1.WarningService/Broadcast": only(commander),
		"/tocsin.v1.WarningService/AllClear":  only(forecaster, loadTester, approver, commander),
		"/tocsin.v1.WarningService/Get":       everybody,
		"/tocsin.v1.WarningService/List":      everybody,
		"/tocsin.v1.WarningService/Watch":     everybody,
		"/tocsin.v1.WarningService/Report":    everybody,
		"/tocsin.v1.WarningService/Who":       only(commander),

		"/tocsin.v1.DirectoryService/Import":      only(engineer, loadTester),
		"/tocsin.v1.DirectoryService/ImportState": only(engineer, loadTester),
		"/tocsin.v1.DirectoryService/Change":      only(engineer),
		"/tocsin.v1.DirectoryService/Stats":       everybody,

		"/tocsin.v1.ChannelService/List":    everybody,
		"/tocsin.v1.ChannelService/Pause":   only(engineer),
		"/tocsin.v1.ChannelService/Resume":  only(engineer),
		"/tocsin.v1.ChannelService/SetRate": only(engineer),

		// A load balancer has no token; health says nothing of warnings or people.
		"/grpc.health.v1.Health/Check": anonymous,
		"/grpc.health.v1.Health/Watch": anonymous,
		"/grpc.health.v1.Health/List":  anonymous,

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      everybody,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": everybody,
	}
}()
