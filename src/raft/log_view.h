// The durable part of a group's log, as its driver shows it to the core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace kvstore::raft {

enum class LogAnswer : std::uint8_t {
    kOk,
    kNotLoaded,  // being fetched: Node::on_log_loaded() follows
    kCompacted,  // below first_index()
};

// A window over the write-ahead log. Nothing here blocks.
//
// It answers for every entry that left in Ready::append, was acknowledged by
// on_persisted(), and was not replaced or compacted since. What it says of an entry that
// is still being written is never asked for.
//
// Lifetime: outlives the Node that reads it.
class LogView {
public:
    virtual ~LogView() = default;

    [[nodiscard]] virtual Index first_index() const = 0;
    // first_index() - 1 when empty.
    [[nodiscard]] virtual Index last_index() const = 0;
    // The term of any index from first_index() - 1 on, or none. Terms change seldom, so
    // that all of them fit into memory: this never has to be fetched.
    [[nodiscard]] virtual std::optional<Term> term(Index index) const = 0;
    // Appends entries of [low, high) to `out`, stopping before `bytes_max` is passed but
    // never before the first.
    virtual LogAnswer entries(Index low,
                              Index high,
                              std::size_t bytes_max,
                              std::vector<Entry>& out) const = 0;
    // The newest snapshot that can be sent, or null. The driver takes a new one when the
    // log is cut and after each change of membership: only a snapshot that names the
    // peer is sent.
    [[nodiscard]] virtual SnapshotRef snapshot() const = 0;
};

}  // namespace kvstore::raft
