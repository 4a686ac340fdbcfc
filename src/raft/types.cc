#include "raft/types.h"

#include <cstring>

namespace kvstore::raft {

namespace {

constexpr std::size_t kEntryOverhead = 24;

}  // namespace

Payload Payload::copy_of(ByteView bytes) {
    if (bytes.empty()) {
        return {};
    }
    auto buffer = std::make_shared<char[]>(bytes.size());
    std::memcpy(buffer.get(), bytes.data(), bytes.size());
    const ByteView copied(buffer.get(), bytes.size());
    return {std::move(buffer), copied};
}

std::size_t entry_bytes(const Entry& entry) noexcept {
    return entry.data.size() + kEntryOverhead;
}

}  // namespace kvstore::raft
