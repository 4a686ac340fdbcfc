#include "wire/status.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::wire {
namespace {

// A code's number on the wire is its place in here plus one. Only ever appended to.
constexpr std::array kCodes = {
    Code::kNotFound,         Code::kAlreadyExists,   Code::kInvalidArgument,  Code::kTooLarge,
    Code::kConflict,         Code::kWrongType,       Code::kOutOfRange,       Code::kCompacted,
    Code::kFutureRevision,   Code::kNotLeader,       Code::kUnavailable,      Code::kOverloaded,
    Code::kDeadlineExceeded, Code::kDiskFull,        Code::kMemoryFull,       Code::kIoError,
    Code::kCorruption,       Code::kUnauthenticated, Code::kPermissionDenied, Code::kUnimplemented,
    Code::kInternal,
};
// Each code has its number; kOk has none.
static_assert(kCodes.size() == static_cast<std::size_t>(Code::kInternal));

}  // namespace

void encode_status(const Status& status, Bytes& to) {
    KVSTORE_ASSERT(!status.ok());
    const auto* at = std::find(kCodes.begin(), kCodes.end(), status.code());
    KVSTORE_ASSERT(at != kCodes.end());
    to.push_back(static_cast<char>(at - kCodes.begin() + 1));
    to.push_back(status.effect() == Effect::kNone ? '\0' : '\1');
    put_length_prefixed(to, status.message().substr(0, kStatusWordsMax));
}

Status decode_status(ByteView bytes, Status& status) {
    Decoder decoder(bytes);
    const auto number = decoder.fixed<std::uint8_t>();
    const auto effect = decoder.fixed<std::uint8_t>();
    const ByteView words = decoder.length_prefixed();
    if (!decoder.at_end() || number == 0 || effect > 1 || words.size() > kStatusWordsMax) {
        return {Code::kCorruption, "unreadable status"};
    }
    const Code code = number <= kCodes.size() ? kCodes[number - 1] : Code::kInternal;
    status = Status(code, effect == 0 ? Effect::kNone : Effect::kUnknown, std::string(words));
    return {};
}

}  // namespace kvstore::wire
