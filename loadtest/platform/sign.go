package platform

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
)

// WriteKey makes an SM2 key pair and writes it as PEM: the private key (PKCS #8), which only its owner can read, and
// the public one.
func WriteKey(private, public string) error {
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	open, err := smx509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open}), 0o644),
	)
}

func readPEM(path string) (*pem.Block, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	return block, nil
}

func readPrivate(path string) (*sm2.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := smx509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if key, ok := key.(*sm2.PrivateKey); ok {
		return key, nil
	}
	return nil, fmt.Errorf("%s holds no SM2 key", path)
}

func readPublic(path string) (*ecdsa.PublicKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	var key any
	if block.Type == "CERTIFICATE" {
		var c *smx509.Certificate
		if c, err = smx509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	} else {
		key, err = smx509.ParsePKIXPublicKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if key, ok := key.(*ecdsa.PublicKey); ok && sm2.IsSM2PublicKey(key) {
		return key, nil
	}
	return nil, fmt.Errorf("%s holds no SM2 key", path)
}

// verify holds the signature of a packet against the client's key; where there is no key, a signature needs only its
// form.
func (p *packet) verify(key *ecdsa.PublicKey) *refusal {
	if p.signature == nil {
		if key == nil {
			return nil
		}
		return refuse(resultSignature, "signature.missing", "no file EBDS_EBDB_%s.xml", p.id)
	}
	e, err := readXML(p.signature)
	if err != nil {
		return refuse(resultSignature, "signature.xml", "%v", err)
	}
	if bad := signatureRule.check(e, ""); bad != nil {
		return refuse(resultSignature, "signature."+bad.rule, "%s", bad.detail)
	}
	if (e.find("SignatureCert") == nil) == (e.find("CertSN") == nil) {
		return refuse(resultSignature, "signature.certificate", "one of SignatureCert and CertSN is needed")
	}
	if id := e.value("RelatedEBD", "EBDID"); id != p.id {
		return refuse(resultSignature, "signature.id", "for %s in the packet %s", id, p.id)
	}
	value, err := base64.StdEncoding.DecodeString(e.value("SignatureValue"))
	if err != nil || key != nil && !sm2.VerifyASN1WithSM2(key, nil, p.body, value) {
		return refuse(resultSignature, "signature.value", "not that of the client over EBDB_%s.xml", p.id)
	}
	return nil
}

// signature is the file that signs body.
func signature(key *sm2.PrivateKey, id string, body []byte, now time.Time) ([]byte, error) {
	value, err := key.Sign(rand.Reader, body, sm2.DefaultSM2SignerOpts)
	if err != nil {
		return nil, err
	}
	return document(parent("Signature",
		leaf("Version", "1.0"), parent("RelatedEBD", leaf("EBDID", id)), leaf("CertSN", "0"),
		leaf("SignatureTime", fmt.Sprintf("%08x", now.Unix())), leaf("DigestAlgorithm", "SM3"),
		leaf("SignatureAlgorithm", "SM2"), leaf("SignatureValue", base64.StdEncoding.EncodeToString(value)),
	)), nil
}

// digest is SM3 in hexadecimal.
func digest(b []byte) string {
	sum := sm3.Sum(b)
	return hex.EncodeToString(sum[:])
}
