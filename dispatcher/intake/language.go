package intake

import (
	"context"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"tocsin/warning"
)

// LanguageKey is the metadata in which a caller names the language of answers: zh-CN or en.
const LanguageKey = "accept-language"

// languageOf is the language that the caller of ctx asks for: the first that it names, in the form of RFC 9110 section
// 12.5.4. Without one it is English.
func languageOf(ctx context.Context) string {
	for _, v := range metadata.ValueFromIncomingContext(ctx, LanguageKey) {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "zh") {
			return warning.Languages[0]
		}
	}
	return "en"
}

// InLanguage is a refusal as the contract has it in the language of its reader.
func InLanguage(err error, language string) error {
	s, ok := status.FromError(err)
	if err == nil || !ok || language != warning.Languages[0] {
		return err
	}
	p := s.Proto()
	p.Message = warning.SayRefusal(language, p.GetMessage())
	var lines []string
	details := make([]protoadapt.MessageV1, 0, len(p.GetDetails()))
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			bad = proto.CloneOf(bad)
			for _, v := range bad.GetFieldViolations() {
				if own := v.GetLocalizedMessage().GetMessage(); own != "" {
					v.Description = own
				}
				lines = append(lines, v.GetField()+": "+v.GetDescription()+" ["+v.GetReason()+"]")
			}
			d = bad
		}
		if m, ok := d.(protoadapt.MessageV1); ok {
			details = append(details, m)
		}
	}
	if len(lines) > 0 {
		p.Message = strings.Join(lines, "; ")
	}
	out := status.New(s.Code(), p.GetMessage())
	if with, err := out.WithDetails(details...); err == nil {
		out = with
	}
	return out.Err()
}

// speakUnary and speakStream answer refusals in the caller's language.
func speakUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	resp, err := handle(ctx, req)
	return resp, InLanguage(err, languageOf(ctx))
}

func speakStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return InLanguage(handle(srv, stream), languageOf(stream.Context()))
}
