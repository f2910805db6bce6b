//go:build peers

package ebd

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl runs Debian's openssl in dir.
func openssl(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

const identity = "distid:1234567812345678" // of SM2, where none was agreed

// TestPeerOpenSSLKeysAndSignatures: keys and a certificate that openssl made sign our packets, openssl finds the
// signatures right, and we find right what openssl signed.
func TestPeerOpenSSLKeysAndSignatures(t *testing.T) {
	dir := t.TempDir()
	openssl(t, dir, "genpkey", "-algorithm", "SM2", "-out", "key.pem")
	openssl(t, dir, "pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem")
	openssl(t, dir, "req", "-x509", "-new", "-key", "key.pem", "-sm3", "-sigopt", identity, "-subj", "/CN=platform",
		"-set_serial", "0x1a2b3c", "-days", "2", "-out", "cert.pem")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := NewSigner(read("key.pem"), read("cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	var verifiers []*Verifier
	for _, name := range []string{"pub.pem", "cert.pem"} {
		v, err := NewVerifier(read(name))
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}

	packet := message()
	b, err := packet.Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var s signed
	if err := xml.Unmarshal(files[signatureName(packet.ID)], &s); err != nil {
		t.Fatal(err)
	}
	if s.CertSN != "1a2b3c" {
		t.Errorf("the signature names the certificate %s", s.CertSN)
	}
	value, err := base64.StdEncoding.DecodeString(s.SignatureValue)
	if err != nil {
		t.Fatal(err)
	}
	write("body.xml", files[bodyName(packet.ID)])
	write("signature.der", value)
	verify := []string{
		"pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-in", "body.xml", "-sigfile", "signature.der",
		"-rawin", "-digest", "sm3", "-pkeyopt", identity,
	}
	if out := openssl(t, dir, verify...); !strings.Contains(out, "Verified Successfully") {
		t.Errorf("openssl says %s", out)
	}
	if sum := openssl(t, dir, "dgst", "-sm3", "-r", "body.xml"); !strings.HasPrefix(sum, Digest(files[bodyName(packet.ID)])+" ") {
		t.Errorf("openssl has the digest %s", sum)
	}
	write("body.xml", append(files[bodyName(packet.ID)], ' '))
	bad := exec.CommandContext(t.Context(), "openssl", verify...)
	if bad.Dir = dir; bad.Run() == nil {
		t.Error("openssl finds the signature right over other words")
	}

	write("body.xml", files[bodyName(packet.ID)])
	openssl(t, dir, "dgst", "-sm3", "-sign", "key.pem", "-sigopt", identity, "-out", "theirs.der", "body.xml")
	theirs, err := marshal(signed{
		Version: version, RelatedEBD: related{packet.ID}, CertSN: "1a2b3c", SignatureTime: "00000000",
		DigestAlgorithm: "SM3", SignatureAlgorithm: "SM2", SignatureValue: base64.StdEncoding.EncodeToString(read("theirs.der")),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verifiers {
		if err := v.verify(packet.ID, files[bodyName(packet.ID)], theirs); err != nil {
			t.Errorf("what openssl signed: %v", err)
		}
		if err := v.verify(packet.ID, append(files[bodyName(packet.ID)], ' '), theirs); err == nil {
			t.Error("what openssl signed is right over other words")
		}
	}
}

// TestPeerTar: Debian's tar reads our packets, and we read what it packs.
func TestPeerTar(t *testing.T) {
	dir := t.TempDir()
	packet := message()
	packet.Time = packet.Time.Add(time.Second)
	b, err := packet.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ours.tar"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-xf", "ours.tar"}, {"-cf", "theirs.tar", bodyName(packet.ID), packet.Media[0].Name}} {
		cmd := exec.CommandContext(t.Context(), "tar", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tar %v: %v\n%s", args, err, out)
		}
	}
	if b, err = os.ReadFile(filepath.Join(dir, "theirs.tar")); err != nil {
		t.Fatal(err)
	}
	if back, err := Decode(b, nil); err != nil || back.ID != packet.ID || len(back.Media) != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}
