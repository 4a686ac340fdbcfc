// A Status as bytes: why a call failed, or a handshake was refused.
//
//     u8      code, numbered below for ever
//     u8      effect: 0 none, 1 unknown
//     varint  length of the words, and the words
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::wire {

// Longer words are cut off.
inline constexpr std::size_t kStatusWordsMax = 4096;

// Requires: not ok.
void encode_status(const Status& status, Bytes& to);

// Puts what the bytes say into `status`. A code that this version does not know is kInternal, with
// the effect and the words as they came.
// Errors: kCorruption: `status` is as it was.
Status decode_status(ByteView bytes, Status& status);

}  // namespace kvstore::wire
