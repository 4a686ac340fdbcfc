// A command as it travels in a Raft entry: with the checksum that its proposer computed.
//
//     offset  size  field
//          0     4  checksum   CRC-32C of the command
//          4     n  command    mvcc::encode_command()
//
// Whoever holds an entry checks it before it relies on it: on receipt, when it is read back from
// the log, and when it is applied (FAULTS.md, rule 2). An empty payload is the entry without a
// command that opens a term.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "raft/types.h"

namespace kvstore::replication {

inline constexpr std::size_t kEntryChecksumSize = 4;

// The command in a payload; nullopt when the checksum does not fit.
[[nodiscard]] inline std::optional<ByteView> open_command(ByteView payload) noexcept {
    if (payload.size() < kEntryChecksumSize) {
        return std::nullopt;
    }
    const ByteView command = payload.substr(kEntryChecksumSize);
    if (load_fixed<std::uint32_t>(payload.data()) != crc32c(command)) {
        return std::nullopt;
    }
    return command;
}

// The same without looking at the checksum, for hints.
[[nodiscard]] inline ByteView peek_command(ByteView payload) noexcept {
    return payload.size() < kEntryChecksumSize ? ByteView() : payload.substr(kEntryChecksumSize);
}

// Payloads in chunks that many share, so that a small command costs no allocation of its own.
//
// Runs on   One core.
class PayloadArena {
public:
    // A payload that holds a copy of `command`.
    [[nodiscard]] raft::Payload seal(ByteView command) {
        const std::size_t size = kEntryChecksumSize + command.size();
        char* at = allocate(size);
        store_fixed(at, crc32c(command));
        command.copy(at + kEntryChecksumSize, command.size());
        return {chunk_, ByteView(at, size)};
    }

    // One that was sealed elsewhere.
    [[nodiscard]] raft::Payload copy(ByteView payload) {
        if (payload.empty()) {
            return {};
        }
        char* at = allocate(payload.size());
        payload.copy(at, payload.size());
        return {chunk_, ByteView(at, payload.size())};
    }

private:
    static constexpr std::size_t kChunkSize = 256U << 10U;

    char* allocate(std::size_t size) {
        if (chunk_ == nullptr || used_ + size > capacity_) {
            capacity_ = std::max(kChunkSize, size);
            used_ = 0;
            chunk_ = std::shared_ptr<char[]>(new char[capacity_]);  // uninitialised storage
        }
        char* at = chunk_.get() + used_;
        used_ += size;
        return at;
    }

    std::shared_ptr<char[]> chunk_;  // NOLINT(modernize-avoid-c-arrays)
    std::size_t capacity_ = 0;
    std::size_t used_ = 0;
};

}  // namespace kvstore::replication
