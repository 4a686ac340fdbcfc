// Changes to single records, with all that hangs on them: revision, counts, digest, expiry table,
// log and index. The operations above it decide what to write; how it is written stands here.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/status.h"
#include "mvcc/record.h"
#include "mvcc/shard.h"
#include "storage/engine.h"

namespace kvstore::mvcc::internal {

// What stands at a key when an operation comes to it.
struct Found {
    ByteView stored;  // in the engine: until its next call
    Record record;    // its value is a part of `stored`
    std::uint64_t key_hash = 0;
    bool exists = false;   // in the table
    bool present = false;  // and has not expired at the command's time
};

// Lifetime   Owned by the shard's Applier.
// Runs on    The core of its group.
//
// Invariants
//   the digest, the counts and the expiry table agree with kCurrent between any two calls
//   every change of a command has the command's one revision; the log numbers them from 0
class RecordWriter {
public:
    RecordWriter(storage::Engine& engine, ShardState& state) : engine_(engine), state_(state) {}

    // Begins a command: its time is `stamp`, raised above the last command's where it is not.
    void begin_command(Version stamp);

    [[nodiscard]] Version stamp() const { return state_.last_stamp; }
    [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }
    // Whether the command has changed any record so far.
    [[nodiscard]] bool has_changed() const { return changed_; }

    // Errors: kCorruption, kIoError.
    Status look_up(ByteView key, Found& found);

    // Stores value, kind, expiry and lease of `record` at `key`; the rest of the record follows
    // from `old` and the command. Requires: `old` was looked up at `key` since its last change.
    // `key` and the value are not
    //           bytes of the engine.
    void put(ByteView key, const Found& old, Record record);
    // Removes what was found at `key`.
    // Requires: as put(), and old.exists. `kind` is kDelete or kExpire.
    void erase(ByteView key, const Found& old, Change::Kind kind);
    // Removes all records without a trace of each.
    // Requires: no history is kept.
    void erase_all();

    [[nodiscard]] bool keeps_history() const { return state_.history_ms != 0; }
    // From now on history is kept for `history_ms`, 0 for none: then all that was kept is let go.
    void keep_history(std::uint64_t history_ms);

private:
    void begin_change();
    void move_expiry(ByteView key, std::uint64_t from_ms, std::uint64_t to_ms);
    void keep_base(ByteView key, const Found& old);
    void log_change(Change::Kind kind, ByteView key, const Record& record);
    void log_removal(Change::Kind kind, ByteView key, const Found& old);

    storage::Engine& engine_;
    ShardState& state_;
    std::uint64_t now_ms_ = 0;
    bool changed_ = false;
    std::uint32_t number_ = 0;  // of the next change within the revision
    // Reused, so that a command need not allocate.
    Bytes table_key_;
    Bytes entry_;
};

}  // namespace kvstore::mvcc::internal
