package identity

import (
	"testing"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	tocsinv1 "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// services is everything that a server of this house registers.
var services = []*grpc.ServiceDesc{
	&tocsinv1.WarningService_ServiceDesc, &tocsinv1.DirectoryService_ServiceDesc, &tocsinv1.ChannelService_ServiceDesc,
	&healthv1.Health_ServiceDesc, &reflectionv1.ServerReflection_ServiceDesc, &reflectionv1alpha.ServerReflection_ServiceDesc,
}

func methods() (all []string) {
	for _, s := range services {
		for _, m := range s.Methods {
			all = append(all, "/"+s.ServiceName+"/"+m.MethodName)
		}
		for _, m := range s.Streams {
			all = append(all, "/"+s.ServiceName+"/"+m.StreamName)
		}
	}
	return all
}

func TestEveryMethodHasARow(t *testing.T) {
	known := map[string]bool{}
	for _, m := range methods() {
		known[m] = true
		r, ok := rights[m]
		if !ok {
			t.Errorf("%s has no row in rights", m)
		}
		if r.open == (len(r.roles) > 0) {
			t.Errorf("%s is open and has roles, or is neither", m)
		}
	}
	for m := range rights {
		if !known[m] {
			t.Errorf("rights has a row for %s, which no service has", m)
		}
	}
}

func TestOnlyHealthIsOpen(t *testing.T) {
	for m, r := range rights {
		if r.open && m[:len("/grpc.health.v1.Health/")] != "/grpc.health.v1.Health/" {
			t.Errorf("%s is open", m)
		}
	}
}

// TestWhoDecides holds the separation of duties: nobody can both submit and approve, only a commander looks a person
// up, and no role but the engineer's touches an account.
func TestWhoDecides(t *testing.T) {
	may := func(role warning.Role, service, method string) bool {
		return rights["/tocsin.v1."+service+"/"+method].includes(role)
	}
	for role := warning.Forecaster; role <= warning.Viewer; role++ {
		if may(role, "WarningService", "Submit") && may(role, "WarningService", "Approve") {
			t.Errorf("%s may submit and approve", role)
		}
		if may(role, "WarningService", "Who") != (role == warning.Commander) {
			t.Errorf("%s and Who", role)
		}
		if may(role, "WarningService", "Release") != (role == warning.Commander) {
			t.Errorf("%s and Release", role)
		}
		for _, m := range []string{"Pause", "Resume", "SetRate"} {
			if may(role, "ChannelService", m) != (role == warning.Engineer) {
				t.Errorf("%s and %s", role, m)
			}
		}
		if !may(role, "WarningService", "Get") || !may(role, "WarningService", "Watch") {
			t.Errorf("%s may not look", role)
		}
	}
	for _, m := range []string{"Submit", "Preview", "Approve", "Reject", "Hold", "Release", "Cancel", "Who"} {
		if may(warning.Viewer, "WarningService", m) || may(warning.Engineer, "WarningService", m) {
			t.Errorf("a viewer or engineer may %s", m)
		}
	}
}
