// Patterns for keys, as Redis matches them: * ? [abc] [^a-z] and \ before a byte that is meant
// itself.
#pragma once

#include "base/bytes.h"

namespace kvstore::resp {

[[nodiscard]] bool glob_matches(ByteView pattern, ByteView text);

// The bytes that every match begins with.
[[nodiscard]] Bytes glob_prefix(ByteView pattern);

}  // namespace kvstore::resp
