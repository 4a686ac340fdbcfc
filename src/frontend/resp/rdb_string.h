// Strings in the form of DUMP and RESTORE: a part of a Redis snapshot file (RDB), its version and a
// checksum.
//
//     1 byte   type, 0: a string
//     string   6-bit, 14-bit, 32-bit or 64-bit length and bytes; an integer; or LZF-compressed
//     2 bytes  version of the format, little-endian
//     8 bytes  CRC-64 (Jones) of all before it, little-endian
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::resp {

[[nodiscard]] Bytes dump_string(ByteView value);

// Whether version and checksum are right.
[[nodiscard]] bool dump_is_sound(ByteView dump);

// Requires: dump_is_sound(dump).
// Errors: kUnimplemented for values that are no strings, kInvalidArgument for wrong bytes.
Result<Bytes> restore_string(ByteView dump);

}  // namespace kvstore::resp
