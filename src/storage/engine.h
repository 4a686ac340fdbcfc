// The engine of one shard replica: ordered tables of bytes, written by one core in batches that are
// atomic with the applied index.
//
// An engine keeps no log of its own. It is brought up to date after a crash by applying again, from
// the write-ahead log, every entry above durable_index(); entries at or below applied_index() are
// never applied twice.
//
// Two engines stand behind this interface: memory/ (everything in memory, snapshots on disk) and
// lsm/ (RocksDB, data larger than memory).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"

namespace kvstore::storage {

// Each table is an ordered space of keys of its own. What they hold is mvcc's business; the memory
// engine also keeps a hash over kCurrent, where point reads go.
enum class Table : std::uint8_t {
    kMeta,     // a few small facts about the shard
    kCurrent,  // key -> newest record
    kLog,      // revision -> change
    kIndex,    // key and revision -> presence
    kExpiry,   // expiry time and key -> nothing
};
inline constexpr std::size_t kTableCount = 5;

enum class Lookup : std::uint8_t {
    kFound,
    kAbsent,
    kMustLoad,  // only the disk knows: use load() or a view
};

// A place in one table of a view. Blocks where the view does.
class Cursor {
public:
    virtual ~Cursor() = default;

    // To the first entry at or after `key`; seek("") is the first of all.
    virtual void seek(ByteView key) = 0;
    // To the last entry before `key`.
    virtual void seek_before(ByteView key) = 0;
    virtual void seek_to_last() = 0;

    // Requires: valid().
    virtual void next() = 0;
    virtual void previous() = 0;

    // False at either end, and after an error: ask status() then.
    [[nodiscard]] virtual bool valid() const = 0;
    // Requires: valid(). Views last until the cursor moves.
    [[nodiscard]] virtual ByteView key() const = 0;
    [[nodiscard]] virtual ByteView value() const = 0;

    // Errors: kCorruption, kIoError.
    [[nodiscard]] virtual Status status() const = 0;
};

// The tables as they stood at one moment.
//
// Runs on   Where Engine::view_blocks() is true: one thread of any kind at a time, and it may block
//           on the disk. Where it is false: the engine's core, without suspending between its
//           creation and its end, since the next write invalidates it (asserted).
class View {
public:
    virtual ~View() = default;

    // Returns: whether `key` exists; `*value` is set then, and lasts until the next call.
    // Errors:  kCorruption, kIoError.
    virtual Result<bool> find(Table table, ByteView key, ByteView* value) = 0;

    [[nodiscard]] virtual std::unique_ptr<Cursor> cursor(Table table) const = 0;
};

// Rows of a consistent state, in table order and key order; for snapshots to files and to peers.
// Writes go on while it is read.
//
// Lifetime  At most one a time for the memory engine. Ended by destroying it.
// Runs on   The engine's core.
class SnapshotSource {
public:
    struct Row {
        Table table;
        Bytes key;
        Bytes value;
    };

    virtual ~SnapshotSource() = default;

    // The index whose effects, and all before it, the rows show.
    [[nodiscard]] virtual Index applied_index() const = 0;

    // The next rows, about `bytes_max` of them; empty at the end.
    // Errors: kCorruption, kIoError.
    virtual async::Task<Result<std::vector<Row>>> next(std::size_t bytes_max) = 0;
};

struct EngineStatistics {
    std::uint64_t key_count = 0;     // of kCurrent; an estimate for lsm
    std::uint64_t memory_bytes = 0;  // held in memory for this shard
    std::uint64_t disk_bytes = 0;
    std::uint64_t load_count = 0;           // reads that had to go to the disk
    std::uint64_t blocking_read_count = 0;  // reads that blocked the core (see find_blocking)
    std::uint64_t compaction_count = 0;
    std::uint64_t compaction_nanoseconds = 0;
};

// Lifetime  Owned by its shard replica. close() before destruction.
// Runs on   One core, but for what says otherwise.
// Never     Serves bytes that failed their checksum.
class Engine {
public:
    virtual ~Engine() = default;

    // ---- reads: what was put is seen at once, before commit ----

    // Never blocks and never allocates on the memory engine. `*value` lasts until the next call on
    // this engine or the end of the turn.
    virtual Lookup find(Table table, ByteView key, ByteView* value) = 0;

    // Says that `key` will soon be looked up or written, so that memory can fetch it meanwhile. For
    // a batch: hint at all keys, then touch the first.
    virtual void hint(Table /*table*/, ByteView /*key*/) {}

    // Reads from the disk off the core. Sees what was committed before the call.
    // Errors: kCorruption, kIoError.
    virtual async::Task<Result<std::optional<Bytes>>> load(Table table, Bytes key) = 0;

    // True when find() would not answer kMustLoad for any key of kCurrent now: prefetch() has
    // nothing to do.
    [[nodiscard]] virtual bool is_resident() const = 0;

    // Brings the records of these keys of kCurrent to where find() sees them, until the next
    // commit, so that applying commands does not block.
    // Errors: kCorruption, kIoError.
    virtual async::Task<Status> prefetch(std::vector<Bytes> keys) = 0;

    // As find(), and blocks the core on the disk where it must (counted): the last resort of apply
    // when a prefetched record was dropped again.
    // Errors: kCorruption, kIoError.
    virtual Result<bool> find_blocking(Table table, ByteView key, ByteView* value) = 0;

    // A view of everything committed and put so far.
    [[nodiscard]] virtual std::unique_ptr<View> view() = 0;
    [[nodiscard]] virtual bool view_blocks() const = 0;

    // ---- writes: atomic from one commit to the next ----

    // The value is `head` followed by `tail`.
    virtual void put(Table table, ByteView key, ByteView head, ByteView tail) = 0;
    void put(Table table, ByteView key, ByteView value) { put(table, key, value, {}); }
    virtual void erase(Table table, ByteView key) = 0;
    // Everything from `from` (inclusive) to `to` (exclusive; empty: to the end). Takes time in
    // proportion to what it removes, but for a whole table, which is let go at once.
    virtual void erase_range(Table table, ByteView from, ByteView to) = 0;

    // Ends the batch: everything since the last commit is there with `applied`, or none of it,
    // after any crash. The engine may not make it durable before persist(). Errors:  kUnavailable:
    // it would block (the engine is behind with its flushes). The batch stays
    //            open; wait in commit_when_ready() instead. Effect is none.
    //          kIoError, kCorruption, kDiskFull: this replica must not be used any more.
    virtual Status commit(Index applied) = 0;
    virtual async::Task<Status> commit_when_ready(Index applied) = 0;

    // ---- durability ----

    [[nodiscard]] virtual Index applied_index() const = 0;
    // The log up to here is no longer needed by this engine.
    [[nodiscard]] virtual Index durable_index() const = 0;

    // Makes everything applied at the call durable without the log: a snapshot, or a flush. Writes
    // go on meanwhile.
    // Errors: kDiskFull, kIoError: nothing is lost, the log is still needed.
    virtual async::Task<Status> persist() = 0;

    [[nodiscard]] virtual std::unique_ptr<SnapshotSource> snapshot_source() = 0;

    // Reads everything stored and checks it. Errors: kCorruption with the place.
    virtual async::Task<Status> verify() = 0;
    // Gives back space that deleted data holds.
    virtual async::Task<Status> compact() = 0;

    [[nodiscard]] virtual EngineStatistics statistics() const = 0;

    // Ends background work. Nothing may be called after it but statistics() and the destructor.
    virtual async::Task<Status> close() = 0;
};

}  // namespace kvstore::storage
