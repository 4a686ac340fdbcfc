// From RocksDB's flushed sequence numbers to applied indexes.
#pragma once

#include <cstdint>
#include <deque>

#include "base/id.h"

namespace kvstore::storage::lsm {

// Remembers which commit ended at which sequence number, until that is flushed.
//
// Runs on   The engine's core.
//
// Invariants
//   durable() is never above what a crash now would leave; it may lag behind it where commits were
//   forgotten to bound memory
class Durability {
public:
    explicit Durability(Index opened) : durable_(opened) {}

    // `sequence` is at least that of the commit's last write.
    void note_commit(std::uint64_t sequence, Index applied);
    void note_flushed(std::uint64_t sequence);
    [[nodiscard]] Index durable() const { return durable_; }

    static constexpr std::size_t kCommitsMax = 4096;

private:
    struct Commit {
        std::uint64_t sequence;
        Index applied;
    };

    std::deque<Commit> commits_;  // both fields rise
    Index durable_;
};

}  // namespace kvstore::storage::lsm
