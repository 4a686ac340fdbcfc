// The deterministic state machine of a strong shard, over the tables of an engine.
//
//     kCurrent  key                               -> record
//     kLog      revision (BE64) + number (BE32)   -> change: kind, key, record
//     kIndex    key (escaped) + ~revision (BE64)  -> put or delete, number in the log
//     kExpiry   expires_at_ms (BE64) + key        -> empty
//     kMeta     "shard"                           -> ShardState
//
// kLog and kIndex are written only while history is kept, and reach back to compacted_revision:
// what a record was before that is kept in kIndex only where it has changed since (a base, see
// docs/internals/mvcc.md), and in kCurrent where it has not. So history costs memory for what
// changes, and none for what stays.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "mvcc/command.h"
#include "mvcc/record.h"
#include "storage/engine.h"

namespace kvstore::mvcc {

namespace internal {
class Applier;
}  // namespace internal

// The facts about a shard that are not in its records. Equal on every replica at equal applied
// indexes.
struct ShardState {
    Revision revision;  // of the last change; 0: none yet
    // Reads as of a revision below it, and watches from it or below, are refused. Without history
    // it is `revision`.
    Revision compacted_revision;
    Version last_stamp;
    std::uint64_t key_count = 0;  // with records that have expired but were not deleted yet
    std::uint64_t expiring_key_count = 0;
    std::uint64_t history_ms = 0;
    // Sum modulo 2^64 of the hashes of all (key, record) in kCurrent: order-free, so it can roll.
    std::uint64_t digest = 0;
};

// One change, as it stands in the log table.
struct Change {
    enum class Kind : std::uint8_t { kPut = 1, kDelete = 2, kExpire = 3 };
    Kind kind = Kind::kPut;
    Revision revision;
    std::uint32_t number = 0;  // within its revision
    Bytes key;
    Bytes stored_record;  // decode_record(); for deletes only version and revisions mean anything
};

struct ScanRequest {
    Bytes from{};  // inclusive
    Bytes to{};    // exclusive; empty: to the end
    bool reverse = false;
    bool keys_only = false;
    bool count_only = false;   // count all of the range, whatever the limits; rows stay empty
    std::size_t limit = 1000;  // rows in one page; 0: as many as bytes_max lets
    std::size_t bytes_max = 8U << 20U;  // of keys and values in one page; at least one row is given
    Revision as_of{};                   // 0: now
    std::uint64_t now_ms = 0;  // records that have expired by then are not shown (only as_of now)
};

struct ScanRow {
    Bytes key;
    Bytes value;    // empty with keys_only
    Record record;  // its value view is empty: use `value`
};

struct ScanPage {
    std::vector<ScanRow> rows;
    std::uint64_t count = 0;  // rows given, or counted
    bool has_more = false;
    Bytes next;         // with has_more: where the next page begins (`from`, or `to` in reverse)
    Revision revision;  // that the page shows
};

struct ExpiredKey {
    Bytes key;
    Revision mod_revision;
};

// Lifetime   Owned by its group, over an engine that outlives it.
// Runs on    The core of its group.
// Never      Decides by anything but the command and its own state.
//
// Invariants
//   revision rises by one with every command that changes anything
//   the state in kMeta and the records are of the same applied index
class Shard {
public:
    // Requires: `engine` is open. `history_ms` is for a shard that has no state yet.
    // Errors: kCorruption when the stored state cannot be read, or is newer than the engine's
    //         applied index (entries would be applied twice). kIoError.
    static async::Task<Result<std::unique_ptr<Shard>>> open(storage::Engine* engine,
                                                            std::uint64_t history_ms);

    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard();

    // ---- apply: in log order, each index once ----

    // Applies one command. Its effects are seen at once; they are durable as the engine says, with
    // the next finish_batch().
    // `sink` may be null.
    // Errors: kCorruption (not a command, or an unreadable record), kIoError: this replica must be
    //         quarantined; `sink` may have been told a part. Every later call that writes gives the
    //         same error, so that nothing of the open batch becomes durable.
    Status apply(Index index, ByteView encoded, ApplySink* sink);
    // The same for one operation that was never encoded, since no log has to hold it.
    // Requires: its views are not bytes of the engine, and within the limits of a command.
    Status apply(Index index, Version stamp, const Operation& operation, ApplySink* sink);
    // An entry without a command (a leader's first entry).
    void apply_nothing(Index index);

    // Ends a batch of applied commands: they become atomic in the engine.
    // Errors: as Engine::commit(). kUnavailable: call finish_batch_when_ready(). That of apply(),
    //         where it failed.
    Status finish_batch();
    async::Task<Status> finish_batch_when_ready();

    // ---- reads at the newest state ----

    // The record of `key`, if it has not expired at `now_ms`. Views last until the next call on the
    // shard or the end of the turn. kMustLoad also where the record is unreadable: load() names it.
    storage::Lookup find(ByteView key, std::uint64_t now_ms, Record* record);
    // The same when find() answers kMustLoad. `*stored` holds the bytes that the record views.
    static async::Task<Result<std::optional<Record>>> load(storage::Engine* engine,
                                                           Bytes key,
                                                           std::uint64_t now_ms,
                                                           Bytes* stored);

    [[nodiscard]] const ShardState& state() const { return state_; }
    [[nodiscard]] storage::Engine& engine() { return engine_; }
    // The last index given to apply() or apply_nothing().
    [[nodiscard]] Index applied_index() const { return applied_; }

    // A view for the functions below, also within a batch: one that is taken from the engine there
    // shows records that are newer than the state beside them.
    [[nodiscard]] std::unique_ptr<storage::View> view();

    // ---- reads over a view: may run where the view may (View's contract) ----

    // Expired records are hidden in the newest state only; as of a revision the log decides.
    // Errors: kCompacted, kFutureRevision, kCorruption, kIoError.
    static Result<ScanPage> scan(storage::View* view, const ScanRequest& request);
    // As of `revision`; the record's value is in `*value`. Nullopt: absent then.
    // Errors: as scan().
    static Result<std::optional<Record>> find_as_of(storage::View* view,
                                                    ByteView key,
                                                    Revision revision,
                                                    Bytes* value);
    // Changes from revision `from` on, about `bytes_max` of them (at least one revision), in order,
    // whole revisions only. Empty when `from` is still to come.
    // Errors: kCompacted (`from` is at or below the compacted revision), kCorruption, kIoError.
    static Result<std::vector<Change>> changes(storage::View* view,
                                               Revision from,
                                               std::size_t bytes_max);
    // Counts records, recomputes the digest and checks every table against the others.
    // Errors: kCorruption with the key (escaped) and what is wrong.
    static Status verify(storage::View* view);

    // ---- what a leader proposes by itself ----

    // When the first record expires; nullopt: none will. A hint: it may have been deleted
    // meanwhile.
    static Result<std::optional<std::uint64_t>> next_expiry_ms(storage::View* view);
    // Up to `count_max` records that have expired at `now_ms`, oldest first.
    static Result<std::vector<ExpiredKey>> expired(storage::View* view,
                                                   std::uint64_t now_ms,
                                                   std::size_t count_max);
    // The newest revision whose change is older than `before_ms`; history up to it may be
    // compacted. Nullopt: nothing is that old.
    static Result<std::optional<Revision>> revision_before(storage::View* view,
                                                           std::uint64_t before_ms);
    // Compaction deletes in slices: true while deletions of an applied kCompact are still due.
    [[nodiscard]] bool has_compaction_due() const {
        return state_.history_ms != 0 && state_.compacted_revision > swept_;
    }
    // Does about `count_max` of them, as part of the open batch. Not part of the logged state:
    // reads find the same before, between and after. Blocks where the engine's views do. Errors:
    // kCorruption, kIoError.
    Status sweep_compacted(std::size_t count_max);

private:
    struct OnlyByOpen {
        explicit OnlyByOpen() = default;
    };

public:
    Shard(OnlyByOpen, storage::Engine& engine, const ShardState& state, Index applied);

private:
    // Puts the state beside the records of the open batch.
    void store_state();
    Status fail(Status failure);
    Status note_applied(Index index, const Status& applied);

    storage::Engine& engine_;
    ShardState state_;
    Index applied_;
    Revision swept_;      // of compaction: everything at and below is gone
    Bytes sweep_from_;    // the log key at which the next slice begins
    bool stored_ = true;  // kMeta has state_
    Status failure_;      // of apply() or the sweep; final
    std::unique_ptr<internal::Applier> applier_;
};

}  // namespace kvstore::mvcc
