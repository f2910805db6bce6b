package carrier

// The words of SMPP 3.4 that this carrier knows.

// Command ids (5.1.2.1).
const (
	bindReceiver    = 0x00000001
	bindTransmitter = 0x00000002
	submitSM        = 0x00000004
	deliverSM       = 0x00000005
	unbind          = 0x00000006
	cancelSM        = 0x00000008
	bindTransceiver = 0x00000009
	enquireLink     = 0x00000015
	genericNack     = 0x80000000
	response        = 0x80000000 // set in the id of every response
)

// Command statuses (5.1.3).
const (
	statusOK        = 0x00
	badMsgLen       = 0x01
	badCmdLen       = 0x02
	badCmdID        = 0x03
	badBindStatus   = 0x04
	alreadyBound    = 0x05
	badPriority     = 0x06
	badRegistered   = 0x07
	sysErr          = 0x08
	badSourceAddr   = 0x0A
	badDestAddr     = 0x0B
	bindFailed      = 0x0D
	badPassword     = 0x0E
	badSystemID     = 0x0F
	msgQueueFull    = 0x14
	badServiceType  = 0x15
	badESMClass     = 0x43
	submitFailed    = 0x45
	badSourceTON    = 0x48
	badSourceNPI    = 0x49
	badDestTON      = 0x50
	badDestNPI      = 0x51
	badSystemType   = 0x53
	badReplace      = 0x54
	throttledStatus = 0x58
	badSchedule     = 0x61
	badExpiry       = 0x62
	badDefaultMsg   = 0x63
	temporaryApp    = 0x64
	badTLVStream    = 0xC0
	tlvNotAllowed   = 0xC1
	badTLVLength    = 0xC2
	missingTLV      = 0xC3
	badTLVValue     = 0xC4
	unknownError    = 0xFF
)

// Tags of optional parameters (5.3.2).
const (
	tagDestSubunit    = 0x0005
	tagReceiptedID    = 0x001E
	tagSarRef         = 0x020C
	tagSarTotal       = 0x020E
	tagSarSeq         = 0x020F
	tagVersion        = 0x0210
	tagNetworkError   = 0x0423
	tagMessagePayload = 0x0424
	tagMessageState   = 0x0427
)

// Sizes (4.1.1, 4.4.1); those of C-octet strings count the terminator.
const (
	headerLen       = 16
	maxPDU          = 66 << 10 // message_payload carries 64 KiB
	maxSystemID     = 16
	maxPassword     = 9
	maxSystemType   = 13
	maxAddressRange = 41
	maxServiceType  = 6
	maxAddress      = 21
	timeLen         = 17
	maxShortMessage = 254
	maxSequence     = 0x7FFFFFFF
	version34       = 0x34
)

// fault is one way to break the standard; 0 is none.
type fault uint8

const (
	faultLength fault = iota + 1
	faultCommand
	faultRequestStatus
	faultSequence
	faultSequenceOpen
	faultBound
	faultNotBound
	faultSystemID
	faultPassword
	faultSystemType
	faultVersion
	faultBindTON
	faultBindNPI
	faultAddressRange
	faultTrailing
	faultServiceType
	faultSourceTON
	faultSourceNPI
	faultSource
	faultDestTON
	faultDestNPI
	faultDest
	faultESMClass
	faultCut
	faultPriority
	faultSchedule
	faultValidity
	faultRegistered
	faultReplace
	faultCoding
	faultDefaultMessage
	faultSMLength
	faultTLV
	faultTLVTwice
	faultTLVLength
	faultTLVValue
	faultPayloadTwice
	faultSarAndUDH
	faultSarCut
	faultUDH
	faultUDHParts
	faultUDHUnsaid
	faultTextEmpty
	faultTextLong
	faultTextOdd
	faultTextSurrogate
	faultTextSeptet
	faultTextEscape
	faultMixedCoding
	faultResponseBody
	faultResponseUnknown
	faultNack
)

// faults says how each is answered, what it is called in the log, and which clause of SMPP 3.4 (or, for the user data,
// of 3GPP TS 23.040 and 23.038) it breaks.
var faults = [...]struct {
	status       uint32
	rule, clause string
}{
	faultLength:          {badCmdLen, "command_length", "3.2"},
	faultCommand:         {badCmdID, "command_id", "5.1.2"},
	faultRequestStatus:   {unknownError, "command_status of a request", "3.2"},
	faultSequence:        {unknownError, "sequence_number", "3.2"},
	faultSequenceOpen:    {unknownError, "sequence_number is open already", "3.2"},
	faultBound:           {alreadyBound, "bound already", "2.2"},
	faultNotBound:        {badBindStatus, "not bound for this", "2.3"},
	faultSystemID:        {badSystemID, "system_id", "5.2.1"},
	faultPassword:        {badPassword, "password", "5.2.2"},
	faultSystemType:      {badSystemType, "system_type", "5.2.3"},
	faultVersion:         {bindFailed, "interface_version", "5.2.4"},
	faultBindTON:         {bindFailed, "addr_ton", "5.2.5"},
	faultBindNPI:         {bindFailed, "addr_npi", "5.2.6"},
	faultAddressRange:    {bindFailed, "address_range", "5.2.7"},
	faultTrailing:        {badCmdLen, "octets behind the last field", "3.2"},
	faultServiceType:     {badServiceType, "service_type", "5.2.11"},
	faultSourceTON:       {badSourceTON, "source_addr_ton", "5.2.5"},
	faultSourceNPI:       {badSourceNPI, "source_addr_npi", "5.2.6"},
	faultSource:          {badSourceAddr, "source_addr", "5.2.8"},
	faultDestTON:         {badDestTON, "dest_addr_ton", "5.2.5"},
	faultDestNPI:         {badDestNPI, "dest_addr_npi", "5.2.6"},
	faultDest:            {badDestAddr, "destination_addr", "5.2.9"},
	faultESMClass:        {badESMClass, "esm_class", "5.2.12"},
	faultCut:             {badCmdLen, "fields end early", "4.4.1"},
	faultPriority:        {badPriority, "priority_flag", "5.2.14"},
	faultSchedule:        {badSchedule, "schedule_delivery_time", "5.2.15"},
	faultValidity:        {badExpiry, "validity_period", "5.2.16"},
	faultRegistered:      {badRegistered, "registered_delivery", "5.2.17"},
	faultReplace:         {badReplace, "replace_if_present_flag", "5.2.18"},
	faultCoding:          {submitFailed, "data_coding", "5.2.19"},
	faultDefaultMessage:  {badDefaultMsg, "sm_default_msg_id", "5.2.20"},
	faultSMLength:        {badMsgLen, "sm_length", "5.2.21"},
	faultTLV:             {badTLVStream, "optional parameters end early", "3.2.4"},
	faultTLVTwice:        {tlvNotAllowed, "optional parameter twice", "3.2.4"},
	faultTLVLength:       {badTLVLength, "length of an optional parameter", "5.3.2"},
	faultTLVValue:        {badTLVValue, "value of an optional parameter", "5.3.2"},
	faultPayloadTwice:    {tlvNotAllowed, "short_message and message_payload", "5.3.2.32"},
	faultSarAndUDH:       {tlvNotAllowed, "sar parameters and user data header", "5.3.2.22"},
	faultSarCut:          {missingTLV, "sar parameters are not complete", "5.3.2.22"},
	faultUDH:             {badMsgLen, "user data header", "23.040 9.2.3.24"},
	faultUDHParts:        {submitFailed, "concatenation in the user data header", "23.040 9.2.3.24.1"},
	faultUDHUnsaid:       {badESMClass, "user data header without its esm_class", "5.2.12"},
	faultTextEmpty:       {badMsgLen, "no text", "5.2.22"},
	faultTextLong:        {badMsgLen, "text does not fit a message", "23.040 9.2.3.16"},
	faultTextOdd:         {badMsgLen, "UCS-2 text of odd length", "23.038 6.2.3"},
	faultTextSurrogate:   {submitFailed, "surrogate pair is split", "23.038 6.2.3"},
	faultTextSeptet:      {submitFailed, "octet above 7 bits in the default alphabet", "23.038 6.2.1"},
	faultTextEscape:      {submitFailed, "escape pair is split", "23.038 6.2.1.1"},
	faultMixedCoding:     {submitFailed, "segments of one message differ in coding", "23.040 9.2.3.24.1"},
	faultResponseBody:    {statusOK, "body of a response", "4.6.2"},
	faultResponseUnknown: {statusOK, "response without a request", "3.2"},
	faultNack:            {statusOK, "generic_nack", "4.3"},
}
