//go:build peers

package smpp_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"tocsin/channels"
)

// TestPeerDecoder lets tshark read what this side puts on the line: no decoder of ours is involved. Long texts join to what
// was said, flash is class 0, and every message has its validity and asks for a receipt.
func TestPeerDecoder(t *testing.T) {
	const people = 12
	texts := []channels.Content{{Text: peerText}, {Text: "Heavy rain: 50 mm @ 3 h, {stay} off low ground."}, {Text: "暴雨红色预警", Flash: true}}
	smsc := startPeer(t)
	line := tapLine(t, smsc.address)
	sink, closeAccount := openPeer(t, line.address, people, texts...)
	sink.until(t, "answers and receipts", func() bool { return len(sink.outcomes) == 4*people && len(sink.receipts) == 4*people })
	if err := closeAccount(); err != nil {
		t.Error(err)
	}
	smsc.end(t)

	said := map[string]int{}
	kinds := map[string]int{}
	parts := map[string]string{} // by recipient and reference
	sequence := map[string]bool{}
	for _, m := range tshark(t, line.sent(t)) {
		kinds[m["smpp.command_id"]]++
		if m["_ws.malformed"] != "" || m["_ws.expert"] != "" {
			t.Errorf("tshark objects to %v", m)
		}
		if m["smpp.command_id"] != "0x00000004" {
			continue
		}
		if sequence[m["smpp.sequence_number"]] {
			t.Errorf("sequence number %s twice", m["smpp.sequence_number"])
		}
		sequence[m["smpp.sequence_number"]] = true
		if m["smpp.source_addr"] != "1069" || m["smpp.regdel.receipt"] != "0x01" || m["smpp.validity_period"] == "" ||
			!strings.HasPrefix(m["smpp.destination_addr"], "999100") {
			t.Errorf("tshark reads a message as %v", m)
		}
		octets, err := hex.DecodeString(m["smpp.message"])
		if err != nil {
			t.Fatal(err)
		}
		if m["smpp.esm.submit.features"] == "0x01" { // 3GPP TS 23.040, 9.2.3.24: the header's length comes first
			octets = octets[1+octets[0]:]
		}
		text := plain(octets, m["smpp.data_coding"])
		if n := m["gsm_sms.udh.mm.msg_parts"]; n != "" {
			id := m["smpp.destination_addr"] + "/" + m["gsm_sms.udh.mm.msg_id"]
			if parts[id] += text; m["gsm_sms.udh.mm.msg_part"] != n {
				continue
			}
			text = parts[id]
		}
		said[m["smpp.data_coding"]+" "+text]++
	}
	for want, text := range map[string]string{
		"0x08": peerText,
		"0x00": texts[1].Text,
		"0x18": texts[2].Text, // 3GPP TS 23.038, 4: UCS-2 of class 0
	} {
		if said[want+" "+text] != people {
			t.Errorf("tshark reads %d times %s %q, not %d", said[want+" "+text], want, text, people)
		}
	}
	// bind_transceiver, submit_sm, deliver_sm_resp, unbind
	if kinds["0x00000009"] != 1 || kinds["0x00000004"] != 4*people || kinds["0x80000005"] != 4*people || kinds["0x00000006"] != 1 {
		t.Errorf("tshark reads %v", kinds)
	}
	if t.Failed() {
		t.Logf("it read: %v", said)
	}
}

// plain is the text of octets, by the standard library: tshark reads UCS-2 without surrogates, and no flash.
func plain(octets []byte, coding string) string {
	if coding == "0x00" { // GSM 7-bit, unpacked: as ASCII but for these, 3GPP TS 23.038, 6.2.1
		return strings.NewReplacer("\x00", "@", "\x1b(", "{", "\x1b)", "}").Replace(string(octets))
	}
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(octets[2*i:])
	}
	return string(utf16.Decode(units))
}

// tshark reads PDUs, each as a packet of its own, and gives the fields of each.
func tshark(t *testing.T, wire []byte) (all []map[string]string) {
	t.Helper()
	fields := []string{
		"smpp.command_id", "smpp.sequence_number", "smpp.source_addr", "smpp.destination_addr", "smpp.regdel.receipt",
		"smpp.validity_period", "smpp.data_coding", "smpp.esm.submit.features", "smpp.message", "gsm_sms.udh.mm.msg_id", "gsm_sms.udh.mm.msg_parts",
		"gsm_sms.udh.mm.msg_part",
		"_ws.malformed", "_ws.expert",
	}
	var dump bytes.Buffer
	for len(wire) >= 4 {
		n := int(binary.BigEndian.Uint32(wire))
		if n < 16 || n > len(wire) {
			t.Fatalf("a PDU has the length %d, %d octets are left", n, len(wire))
		}
		fmt.Fprintf(&dump, "0000 % x\n", wire[:n])
		wire = wire[n:]
	}
	dir := t.TempDir()
	text, pcap := filepath.Join(dir, "hex"), filepath.Join(dir, "pcap")
	if err := os.WriteFile(text, dump.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), foreign(t, "text2pcap"), "-q", "-T", "40000,2775", text, pcap).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := []string{"-r", pcap, "-d", "tcp.port==2775,smpp", "-o", "smpp.decode_sms_over_smpp:TRUE", "-T", "fields", "-E", "separator=/t"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.CommandContext(t.Context(), foreign(t, "tshark"), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		m := map[string]string{}
		for i, v := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			m[fields[i]] = v
		}
		all = append(all, m)
	}
	return all
}

// foreign is the path of a program that make test-peers installed, else of the system.
func foreign(t *testing.T, program string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("TOCSIN_PEERS"), "bin", program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run make test-peers", err)
	}
	return path
}

// tapped is a line to a carrier that keeps what is sent to it.
type tapped struct {
	address string
	kept    chan []byte
}

func tapLine(t *testing.T, to string) *tapped {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &tapped{address: l.Addr().String(), kept: make(chan []byte, 1)}
	go func() {
		var sent bytes.Buffer
		defer func() { out.kept <- sent.Bytes() }()
		near, err := l.Accept()
		_ = l.Close()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer far.Close()
		back := make(chan struct{})
		go func() {
			defer close(back)
			_, _ = io.Copy(near, far)
			_ = near.Close()
		}()
		_, _ = io.Copy(io.MultiWriter(far, &sent), near)
		_ = far.Close()
		<-back
	}()
	return out
}

// sent is everything that was sent, when the line is closed.
func (l *tapped) sent(t *testing.T) []byte {
	t.Helper()
	select {
	case b := <-l.kept:
		return b
	case <-t.Context().Done():
		t.Fatal("the line was never closed")
		return nil
	}
}
