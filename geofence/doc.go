// Package geofence answers where: which area a warning means, whether that area is sound, and who lives in it.
//
// It holds the dated editions of administrative units (edition.go), reads and checks areas (area.go, geojson.go,
// valid.go), keeps the directory as immutable snapshots (build.go, snapshot.go, codec.go) and finds people in areas
// (resolve.go). It also makes synthetic directories (synth.go) and reads and writes them as CSV (csv.go).
//
// Invariants:
//   - Coordinates are WGS-84 in units of 10^-7 degree (int32), planar in longitude and latitude (RFC 7946). Every
//     decision about inside, outside and crossing is taken in exact integer arithmetic; floating point only measures
//     surface and reads degrees.
//   - Boundaries are closed: a point on a line, also on the line of a hole, is inside.
//   - The meridian of 180 degrees is one line, whether a position says 180 or -180, and a pole is one place at every
//     longitude (seam.go). A ring whose sides may lead either way around the earth is refused: it is cut at 180 first.
//   - An area is taken as it was given or refused with every fault named (promise 6): never widened, trimmed or mended.
//     Which way a ring runs and where it begins mean nothing.
//   - Work on an area is bounded by Limits, whatever its shape.
//   - A Snapshot never changes. Its ID is the SHA-256 of its content: the same people give the same ID in whatever
//     order they came.
//   - No number and no position of a person stands in an error, a BadRow or any other text.
package geofence
