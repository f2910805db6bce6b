package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"time"
)

// How long certificates hold. The authority outlives ten servers.
const (
	authorityLife = 10 * 366 * 24 * time.Hour
	serverLife    = 397 * 24 * time.Hour
	clockSlack    = 5 * time.Minute // for clocks of clients that are behind
)

// Authority signs certificates for the servers of one house (RFC 5280; ECDSA over P-256).
type Authority struct {
	dir string
	key *ecdsa.PrivateKey
	own *x509.Certificate
}

// NewAuthority opens the authority in dir, or makes one where there is none: ca.key holds its key and certificate, and
// ca.pem the certificate alone, for clients. Of two processes that make it at once both get the same.
func NewAuthority(dir string) (*Authority, error) {
	a := &Authority{dir: dir}
	err := a.load()
	if missing(err) {
		if err = a.create(); err == nil || errors.Is(err, fs.ErrExist) {
			err = a.load()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return a, nil
}

// CAFile is the certificate that clients must trust.
func (a *Authority) CAFile() string { return filepath.Join(a.dir, "ca.pem") }

func (a *Authority) keyFile() string { return filepath.Join(a.dir, "ca.key") }

func (a *Authority) load() error {
	b, err := readPrivate(a.keyFile())
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return fmt.Errorf("%s: %w", a.keyFile(), err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return fmt.Errorf("%s does not hold the ECDSA key and the certificate of an authority", a.keyFile())
	}
	a.key, a.own = key, pair.Leaf
	return writePrivate(a.CAFile(), certificatePEM(a.own.Raw), true)
}

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := certificate("Tocsin authority", authorityLife)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	certPEM, keyPEM, err := sign(t, t, key, key)
	if err != nil {
		return err
	}
	return writePrivate(a.keyFile(), append(keyPEM, certPEM...), false)
}

// Issue writes the certificate name.pem and the key name.key of a server that is called by the hosts (names or IP
// addresses), in place of older ones, and gives their paths.
func (a *Authority) Issue(name string, hosts ...string) (certFile, keyFile string, err error) {
	if name == "" || name == "ca" || name != filepath.Base(name) || len(hosts) == 0 {
		return "", "", fmt.Errorf("a server's certificate needs a file name of its own (not %q) and at least one host", name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := certificate(hosts[0], serverLife)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if t.NotAfter.After(a.own.NotAfter) {
		t.NotAfter = a.own.NotAfter
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	certPEM, keyPEM, err := sign(t, a.own, key, a.key)
	if err == nil {
		err = errors.Join(writePrivate(certFile, certPEM, true), writePrivate(keyFile, keyPEM, true))
	}
	if err != nil {
		return "", "", fmt.Errorf("certificate of %s: %w", hosts[0], err)
	}
	return certFile, keyFile, nil
}

func certificate(name string, life time.Duration) *x509.Certificate {
	return &x509.Certificate{ // without a serial number the library takes 20 random bytes
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-clockSlack), NotAfter: time.Now().Add(life),
	}
}

func sign(t, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return certificatePEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ServerTLS is TLS 1.3 with the certificate and key of the files. It refuses a key that others may read and a
// certificate that has expired.
func ServerTLS(certFile, keyFile string) (*tls.Config, error) {
	keyPEM, err := readPrivate(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the server's key: %w", err)
	}
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("the server's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the server's certificate %s expired on %s: give a new one", certFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}, nil
}

// ClientTLS is TLS 1.3 that trusts the authority of the PEM and nobody else.
func ClientTLS(ca []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("there is no certificate in the authority's PEM; take the file ca.pem of the server")
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}, nil
}

// DaysLeft is how many whole days a certificate holds after now; negative when it has expired.
func DaysLeft(c *x509.Certificate, now time.Time) int {
	return int(math.Floor(c.NotAfter.Sub(now).Hours() / 24))
}
