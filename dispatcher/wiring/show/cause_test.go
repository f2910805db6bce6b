package show

import (
	"strings"
	"testing"

	pb "tocsin/proto/tocsin/v1"
)

// TestARefusedBindTellsWhatToDo in both languages, and a word that we do not know tells nothing.
func TestARefusedBindTellsWhatToDo(t *testing.T) {
	for _, x := range []struct {
		language     Language
		detail, want string
	}{
		{"en", "the bind was refused: ESME_RINVPASWD (0x0E)", "compare password_file or password_env with the contract"},
		{"zh-CN", "the bind was refused: ESME_RINVPASWD (0x0E)", "把 password_file 或 password_env 与合同核对"},
		{"en", "3 of 4: #0 the bind was refused: ESME_RBINDFAIL (0x0D)", "compare links with the contract"},
		{"en", "the bind was refused: ESME_RSYSERR (0x08)", ""},
		{"en", "connection refused", ""},
	} {
		f := &pb.Finding{Level: pb.Level_LEVEL_WRONG, Kind: "down", Subject: "mobile", Detail: x.detail}
		page := strings.Join(x.language.finding(f, func(_ pb.Level, s string) string { return s }), "\n")
		account := x.language.Account(&pb.Account{Name: "mobile", LastError: x.detail})
		for _, shown := range []string{page, account} {
			if !strings.Contains(shown, x.want) || strings.Contains(shown, "cause") {
				t.Errorf("%q shows %s", x.detail, shown)
			}
		}
		if n := strings.Count(page, "→"); n != 2 && x.want != "" || n != 1 && x.want == "" {
			t.Errorf("%s", page)
		}
	}
}
