// Package intake is the gRPC edge of the engine: it checks what comes in, calls the engine, and maps the answer. It
// decides nothing; what it needs of the engine it declares as interfaces (ports.go).
//
// Invariants:
//   - Who calls comes from the credential, never from the request.
//   - Every refusal is a status with details: ErrorInfo with the reason, BadRequest with every violation.
//   - No text of a warning, number, token or position enters the log; an error that is not a refusal is told to the
//     caller as a number under which the log has it.
package intake
