package identity

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tocsin/dispatcher/memstore"
	tocsinv1 "tocsin/proto/tocsin/v1"
	"tocsin/warning"
)

// services is everything that a server of this house registers.
var services = []*grpc.ServiceDesc{
	&tocsinv1.WarningService_ServiceDesc, &tocsinv1.DirectoryService_ServiceDesc, &tocsinv1.ChannelService_ServiceDesc, &tocsinv1.AuthorityService_ServiceDesc,
	&tocsinv1.HouseService_ServiceDesc,
	&tocsinv1.DutyService_ServiceDesc,
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
		if r.open == (len(r.scopes) > 0) {
			t.Errorf("%s is open and has roles, or is neither", m)
		}
	}
	for m := range rights {
		if !known[m] {
			t.Errorf("rights has a row for %s, which no service has", m)
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("tocsin.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				if m := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name()); !known[m] {
					t.Errorf("the contract has %s, which is not walked", m)
				}
			}
		}
		return true
	})
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
		_, ok := rights["/tocsin.v1."+service+"/"+method].scopes[role]
		return ok
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
		for _, m := range []string{"Pause", "Resume", "SetRate", "ResetRate"} {
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

// row is one line of docs/roles.md.
type row struct {
	own, inside []bool
	says        []string // by role, from Forecaster on
}

// matrix reads docs/roles.md by call.
func matrix(t *testing.T) map[string][]row {
	t.Helper()
	text, err := os.ReadFile("../../docs/roles.md")
	if err != nil {
		t.Fatal(err)
	}
	sides := map[string][]bool{"any": {true, false}, "own": {true}, "other": {false}, "inside": {true}, "outside": {false}}
	all := map[string][]row{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		switch {
		case !strings.HasPrefix(line, "| ") || strings.HasPrefix(cells[0], "---"):
			continue
		case cells[0] == "call":
			for i, name := range cells[3:] {
				if role, err := warning.ParseRole(strings.ReplaceAll(name, " ", "_")); err != nil || int(role) != i+1 {
					t.Fatalf("column %q is not role %d", name, i+1)
				}
			}
			continue
		case len(cells) != 9 || sides[cells[1]] == nil || sides[cells[2]] == nil:
			t.Fatalf("not a line of the table: %s", line)
		}
		all[cells[0]] = append(all[cells[0]], row{sides[cells[1]], sides[cells[2]], cells[3:]})
	}
	return all
}

// callOf is how docs/roles.md names a method.
func callOf(method string) string {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if strings.HasPrefix(service, "grpc.reflection.") {
		return "reflection"
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(service, "tocsin.v1."), "Service")) + "." + name
}

// scoped is every method of the house behind the real interceptors; each answers with the scope of its caller.
func scoped(t *testing.T, users *Users) (address string, ca []byte) {
	t.Helper()
	a, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := a.Issue("server", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := ServerTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = os.ReadFile(a.CAFile()); err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.UnaryInterceptor(users.Unary), grpc.StreamInterceptor(users.Stream))
	answer := func(ctx context.Context, _ any) (any, error) {
		c, _ := From(ctx)
		return wrapperspb.UInt32(uint32(c.Scope)), nil
	}
	for _, d := range services {
		desc := &grpc.ServiceDesc{ServiceName: d.ServiceName, HandlerType: (*any)(nil)}
		for _, m := range d.Methods {
			info := &grpc.UnaryServerInfo{FullMethod: "/" + d.ServiceName + "/" + m.MethodName}
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: m.MethodName,
				Handler: func(_ any, ctx context.Context, _ func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
					return intercept(ctx, nil, info, answer)
				}})
		}
		for _, m := range d.Streams {
			m.Handler = func(_ any, stream grpc.ServerStream) error {
				scope, err := answer(stream.Context(), nil)
				if err != nil {
					return err
				}
				return stream.SendMsg(scope)
			}
			desc.Streams = append(desc.Streams, m)
		}
		s.RegisterService(desc, struct{}{})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), ca
}

// asked is the scope that a method gives to who calls.
func asked(t *testing.T, conn *grpc.ClientConn, method string) (warning.Scope, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return 0, err
	}
	// An error here is told better by what comes back.
	_ = stream.SendMsg(&emptypb.Empty{})
	_ = stream.CloseSend()
	scope := &wrapperspb.UInt32Value{}
	err = stream.RecvMsg(scope)
	return warning.Scope(scope.GetValue()), err
}

// TestRolesAreAsWritten walks every call, every role, every warning of one's own and of others, inside and outside of the
// jurisdiction, and of every status, through the running interceptors, and holds the answer against docs/roles.md.
func TestRolesAreAsWritten(t *testing.T) {
	written := matrix(t)
	users := NewUsers(memstore.New())
	address, ca := scoped(t, users)
	config, err := ClientTLS(ca)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for role := warning.Forecaster; role <= warning.Viewer; role++ {
		user := strings.ReplaceAll(role.String(), "_", "-")
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithPerRPCCredentials(Credentials(add(t, users, user, role))))
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods() {
			if rights[method].open {
				continue
			}
			call := callOf(method)
			known[call] = true
			scope, err := asked(t, conn, method)
			if err != nil && status.Code(err) != codes.PermissionDenied {
				t.Fatalf("%s as %s: %v", method, role, err)
			}
			for _, own := range []bool{true, false} {
				for _, inside := range []bool{true, false} {
					if call == "warning.Submit" && !own {
						continue // what one submits is one's own
					}
					i := slices.IndexFunc(written[call], func(r row) bool { return slices.Contains(r.own, own) && slices.Contains(r.inside, inside) })
					if i < 0 {
						t.Fatalf("docs/roles.md says nothing of %s, own %v, inside %v", call, own, inside)
					}
					says := written[call][i].says[role-1]
					for _, s := range []warning.Status{warning.Actual, warning.PublicDrill, warning.Exercise, warning.Test} {
						w := warning.Warning{SubmittedBy: "somebody", Spec: warning.Spec{Status: s}}
						if own {
							w.SubmittedBy = user
						}
						may := scope.Check(user, &w, inside) == nil
						want := says == "yes" || says == "exercise" && (s == warning.Exercise || s == warning.Test)
						if says != "no" && says != "yes" && says != "exercise" || may != want {
							t.Errorf("%s as %s, own %v, inside %v, %s: %v, and docs/roles.md says %s", call, role, own, inside, s, may, says)
						}
					}
				}
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	for call := range written {
		if !known[call] {
			t.Errorf("docs/roles.md has a line for %s, which no service has", call)
		}
	}
}
