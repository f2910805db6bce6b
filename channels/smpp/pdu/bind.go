package pdu

// Bind is the body of bind_transmitter, bind_receiver and bind_transceiver (clause 4.1). Strings have no zero; the
// lengths they may have are 15, 8, 12 and 40.
type Bind struct {
	SystemID, Password, SystemType []byte
	Version, TON, NPI              byte
	AddressRange                   []byte
}

// AppendBind adds the bind PDU of the command.
func AppendBind(dst []byte, c Command, seq uint32, b Bind) ([]byte, error) {
	a := appender{b: AppendHeader(dst, c, OK, seq)}
	a.text("system_id", b.SystemID, 16)
	a.text("password", b.Password, 9)
	a.text("system_type", b.SystemType, 13)
	a.octets(b.Version, b.TON, b.NPI)
	a.text("address_range", b.AddressRange, 41)
	return a.done(len(dst))
}

// ParseBind reads the body of a bind PDU.
func ParseBind(body []byte) (Bind, error) {
	c := cursor{b: body}
	b := Bind{
		SystemID:   c.text("system_id", 16),
		Password:   c.text("password", 9),
		SystemType: c.text("system_type", 13),
		Version:    c.octet("interface_version"),
		TON:        c.octet("addr_ton"),
		NPI:        c.octet("addr_npi"),
	}
	b.AddressRange = c.text("address_range", 41)
	return b, c.done()
}

// AppendBindResp adds the answer that accepts a bind of the command, with the version of the answering side
// (clause 4.1.2). A refusal is AppendHeader with its status.
func AppendBindResp(dst []byte, c Command, seq uint32, systemID []byte) ([]byte, error) {
	a := appender{b: AppendHeader(dst, c|Response, OK, seq)}
	a.text("system_id", systemID, 16)
	a.b = AppendOptional(a.b, InterfaceVersion, []byte{Version})
	return a.done(len(dst))
}

// ParseBindResp reads the body of an answer to a bind: the carrier's system_id. A refusal has no body, and some
// carriers leave it out of an acceptance too.
func ParseBindResp(body []byte) (systemID []byte, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	c := cursor{b: body}
	systemID = c.text("system_id", 16)
	c.optional()
	return systemID, c.done()
}
