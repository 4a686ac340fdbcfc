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

std::uint8_t code_number(Code code) {
    if (code == Code::kOk) {
        return 0;
    }
    const auto* at = std::find(kCodes.begin(), kCodes.end(), code);
    KVSTORE_ASSERT(at != kCodes.end());
    return static_cast<std::uint8_t>(at - kCodes.begin() + 1);
}

Code code_of_number(std::uint64_t number) {
    if (number == 0) {
        return Code::kOk;
    }
    return number <= kCodes.size() ? kCodes[number - 1] : Code::kInternal;
}

void encode_status(const Status& status, Bytes& to) {
    KVSTORE_ASSERT(!status.ok());
    to.push_back(static_cast<char>(code_number(status.code())));
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
    status = Status(
        code_of_number(number), effect == 0 ? Effect::kNone : Effect::kUnknown, std::string(words));
    return {};
}

}  // namespace kvstore::wire
