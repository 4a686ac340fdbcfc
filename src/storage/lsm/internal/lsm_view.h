// Reading many rows: a RocksDB snapshot with the open batch laid over it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <rocksdb/db.h>

#include "async/scheduler.h"
#include "async/sync.h"
#include "storage/engine.h"
#include "storage/lsm/internal/database.h"
#include "storage/lsm/internal/open_batch.h"
#include "storage/lsm/internal/stored_state.h"

namespace kvstore::storage::lsm {

// Keeps the engine from closing while something reads. Made on the core, ended on any thread.
class GatePass {
public:
    // Requires: `gate` is open.
    GatePass(async::Gate* gate, async::Scheduler* scheduler);
    GatePass(const GatePass&) = delete;
    GatePass& operator=(const GatePass&) = delete;
    ~GatePass();

private:
    async::Gate* gate_;
    async::Scheduler* scheduler_;
};

// A RocksDB snapshot.
class HeldSnapshot {
public:
    explicit HeldSnapshot(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
    HeldSnapshot(const HeldSnapshot&) = delete;
    HeldSnapshot& operator=(const HeldSnapshot&) = delete;
    ~HeldSnapshot() { db_.ReleaseSnapshot(snapshot_); }

    [[nodiscard]] const rocksdb::Snapshot* raw() const { return snapshot_; }

private:
    rocksdb::DB& db_;
    const rocksdb::Snapshot* snapshot_;
};

// Two ordered sequences as one; the batch wins where both have a key, and hides what it erased.
//
// Invariants
//   moving forward, both stand at their first entry at or after the place; backward, at their last
//   entry at or before it; the place is the nearer of the two
class LsmCursor final : public Cursor {
public:
    enum class Use : std::uint8_t {
        kUsual,
        kOnce,         // a pass over everything: leaves the block cache to others
        kWithoutDisk,  // ends with kUnavailable where it would wait for the disk
    };

    LsmCursor(Database* database,
              const rocksdb::Snapshot* snapshot,
              std::uint8_t prefix,
              const OpenBatch* batch,
              Use use);

    void seek(ByteView key) override;
    void seek_before(ByteView key) override;
    void seek_to_last() override;
    void next() override;
    void previous() override;
    [[nodiscard]] bool valid() const override { return source_ != Source::kNone; }
    [[nodiscard]] ByteView key() const override;
    [[nodiscard]] ByteView value() const override;
    [[nodiscard]] Status status() const override { return status_; }

private:
    enum class Source : std::uint8_t { kNone, kBase, kBatch };
    enum class Direction : std::uint8_t { kForward, kBackward };

    void seek_prefixed();
    void seek_before_prefixed();
    void settle();
    void step_base();
    void step_batch();
    [[nodiscard]] bool has_batch_entry() const;
    [[nodiscard]] const OpenBatch::Entry& batch_entry() const { return batch_->entry(*at_); }
    bool check_base();

    Database* database_;
    std::string lower_;
    std::string upper_;
    rocksdb::Slice lower_bound_;
    rocksdb::Slice upper_bound_;
    const OpenBatch* batch_;
    std::unique_ptr<rocksdb::Iterator> base_;
    OpenBatch::Ordered::const_iterator first_;  // the batch's entries of this table: [first_, end_)
    OpenBatch::Ordered::const_iterator end_;
    OpenBatch::Ordered::const_iterator at_;
    bool is_past_batch_ = true;  // at_ names no entry
    Direction direction_ = Direction::kForward;
    Source source_ = Source::kNone;
    Bytes target_;
    Status status_;
};

class LsmView final : public View {
public:
    // `batch` is null where nothing is open.
    LsmView(std::unique_ptr<GatePass> pass,
            Database* database,
            const Prefixes& prefixes,
            std::shared_ptr<OpenBatch> batch);

    Result<bool> find(Table table, ByteView key, ByteView* value) override;
    [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override;
    [[nodiscard]] std::unique_ptr<LsmCursor> make_cursor(Table table, LsmCursor::Use use) const;

private:
    std::unique_ptr<GatePass> pass_;  // the last to go
    Database* database_;
    Prefixes prefixes_;
    BatchReader batch_;
    HeldSnapshot snapshot_;
    Bytes key_;
    rocksdb::PinnableSlice pinned_;
};

}  // namespace kvstore::storage::lsm
