// A Status as bytes: why a call failed, or a handshake was refused.
//
//     u8      code, numbered below for ever
//     u8      effect: 0 none, 1 unknown
//     varint  length of the words, and the words
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::wire {

// Longer words are cut off.
inline constexpr std::size_t kStatusWordsMax = 4096;

// The number of a code, for ever; 0: ok.
[[nodiscard]] std::uint8_t code_number(Code code);
// kInternal for a number that this version does not know.
[[nodiscard]] Code code_of_number(std::uint64_t number);

// Requires: not ok.
void encode_status(const Status& status, Bytes& to);

// Puts what the bytes say into `status`. A code that this version does not know is kInternal, with
// the effect and the words as they came.
// Errors: kCorruption: `status` is as it was.
Status decode_status(ByteView bytes, Status& status);

}  // namespace kvstore::wire
