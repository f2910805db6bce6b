package ebd

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
)

// ErrUnsigned is the error of a packet without the signature that its receiver asks for.
var ErrUnsigned = errors.New("the packet is not signed")

// ErrSignature is the error of a packet whose signature is not that of the key.
var ErrSignature = errors.New("the signature is not right")

// Digest is SM3 (GM/T 0004) in hexadecimal.
func Digest(b []byte) string {
	sum := sm3.Sum(b)
	return hex.EncodeToString(sum[:])
}

// Signer signs packets by SM2 with SM3 (GM/T 0003.2) under the usual identity 1234567812345678; the signature is the
// ASN.1 sequence of GM/T 0009.
type Signer struct {
	key    *sm2.PrivateKey
	serial string // of the certificate, hexadecimal
}

// NewSigner takes a private key (PEM, PKCS #8) and its certificate (PEM), whose serial number stands in the signatures;
// without certificate it is 0.
func NewSigner(key, certificate []byte) (*Signer, error) {
	der, err := firstPEM(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	parsed, err := smx509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	s := &Signer{serial: "0"}
	var ok bool
	if s.key, ok = parsed.(*sm2.PrivateKey); !ok {
		return nil, errors.New("private key: it is not of SM2")
	}
	if certificate == nil {
		return s, nil
	}
	if der, err = firstPEM(certificate); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if !s.key.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("certificate: it is not that of the private key")
	}
	s.serial = c.SerialNumber.Text(16)
	return s, nil
}

// Verifier knows the key of the other side.
type Verifier struct {
	key *ecdsa.PublicKey
}

// NewVerifier takes a public key or a certificate (PEM).
func NewVerifier(key []byte) (*Verifier, error) {
	der, err := firstPEM(key)
	if err != nil {
		return nil, err
	}
	var parsed any
	if parsed, err = smx509.ParsePKIXPublicKey(der); err != nil {
		c, err := smx509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("neither a public key nor a certificate")
		}
		parsed = c.PublicKey
	}
	if k, ok := parsed.(*ecdsa.PublicKey); ok && sm2.IsSM2PublicKey(k) {
		return &Verifier{k}, nil
	}
	return nil, errors.New("the key is not of SM2")
}

func firstPEM(b []byte) ([]byte, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("there is no PEM")
	}
	return block.Bytes, nil
}

// signed is the signature of a packet as XML.
type signed struct {
	XMLName            xml.Name `xml:"Signature"`
	Version            string
	RelatedEBD         related
	CertSN             string
	SignatureTime      string // seconds of the epoch, hexadecimal
	DigestAlgorithm    string
	SignatureAlgorithm string
	SignatureValue     string
}

func (s *Signer) sign(id string, body []byte, at time.Time) ([]byte, error) {
	value, err := s.key.Sign(rand.Reader, body, sm2.DefaultSM2SignerOpts)
	if err != nil {
		return nil, err
	}
	return marshal(signed{
		Version: version, RelatedEBD: related{id}, CertSN: s.serial, SignatureTime: fmt.Sprintf("%08x", at.Unix()),
		DigestAlgorithm: "SM3", SignatureAlgorithm: "SM2", SignatureValue: base64.StdEncoding.EncodeToString(value),
	})
}

// verify holds the signature file against the document.
func (v *Verifier) verify(id string, body, signature []byte) error {
	if signature == nil {
		return ErrUnsigned
	}
	var s signed
	if err := unmarshal(signature, &s); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if s.RelatedEBD.EBDID != id {
		return fmt.Errorf("%w: it is for the packet %.60q", ErrSignature, s.RelatedEBD.EBDID)
	}
	if s.DigestAlgorithm != "SM3" || s.SignatureAlgorithm != "SM2" {
		return fmt.Errorf("%w: it is of %.20q and %.20q, not SM3 and SM2", ErrSignature, s.DigestAlgorithm, s.SignatureAlgorithm)
	}
	value, err := base64.StdEncoding.DecodeString(s.SignatureValue)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !sm2.VerifyASN1WithSM2(v.key, nil, body, value) {
		return ErrSignature
	}
	return nil
}
