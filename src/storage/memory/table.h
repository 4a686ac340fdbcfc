// One table of the memory engine: entries in an arena, refs to them in key order and, where point
// reads go, in a hash.
//
// An entry never changes. A new value is a new entry whose ref takes the old one's place in hash
// and tree; the old entry is freed when the epoch in which it was unlinked is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "storage/hint_ring.h"
#include "storage/memory/arena.h"
#include "storage/memory/entry.h"
#include "storage/memory/epoch.h"
#include "storage/memory/hash_index.h"
#include "storage/memory/ordered_index.h"

namespace kvstore::storage::memory {

// Lifetime    Shared by the engine and by snapshots that still read it; ends before the
// EpochDomain,
//             and after the last reader inside it has left.
// Runs on     One core, but for find_from_any_core().
// Invariants  tree and hash hold the same refs
class MemoryTable {
public:
    // A place in the table. Any write to the table ends it.
    class Cursor {
    public:
        explicit Cursor(const MemoryTable* table) : table_(table) {}

        // To the first entry at or after `key`.
        void seek(ByteView key) { arrive(table_->tree_.lower_bound(key), Way::kForward); }
        // To the last entry before `key`.
        void seek_before(ByteView key) { arrive(table_->tree_.before(key), Way::kBackward); }
        void seek_to_last() { arrive(table_->tree_.last(), Way::kBackward); }

        // Requires: valid().
        void next();
        void previous();

        [[nodiscard]] bool valid() const { return place_.leaf != nullptr; }
        [[nodiscard]] ByteView key() const;
        [[nodiscard]] ByteView value() const;

    private:
        enum class Way : std::uint8_t { kForward, kBackward };
        void arrive(OrderedIndex::Place place, Way way);

        const MemoryTable* table_;
        OrderedIndex::Place place_;
        Entry entry_;
    };

    enum class Access : std::uint8_t { kOrdered, kHashedAndOrdered };

    MemoryTable(EpochDomain* epochs, Access access, std::uint64_t hash_seed);
    MemoryTable(const MemoryTable&) = delete;
    MemoryTable& operator=(const MemoryTable&) = delete;
    ~MemoryTable();

    // `*value` stays until the entry is replaced or erased, and then until the next reclaim().
    bool find(ByteView key, ByteView* value) const;
    // The same, and goes on with hints.
    bool find(ByteView key, ByteView* value);
    // Copies the value out. Requires: the core's EpochDomain::Reader is inside; a hashed table.
    bool find_from_any_core(ByteView key, Bytes* value) const;
    // Fetches what finding or putting `key` will touch. Each hint, find and put takes the oldest
    // hint one step further, so that a batch's hints overlap.
    void hint(ByteView key);

    // Returns: whether the key is new.
    bool put(ByteView key, ByteView head, ByteView tail);
    // As put(), faster, for keys in rising order into a table that has none after them. Point reads
    // see them after end_append().
    void append(ByteView key, ByteView value);
    [[nodiscard]] bool is_after_all(ByteView key) const { return tree_.is_after_all(key); }
    void end_append();
    // Returns: whether the key was there.
    bool erase(ByteView key);
    void erase_range(ByteView from, ByteView to);

    // Frees what no reader can see any more.
    void reclaim(std::uint64_t safe_epoch);
    [[nodiscard]] bool has_retired() const { return !retired_.empty(); }
    [[nodiscard]] std::size_t retired_bytes() const { return retired_bytes_; }

    // Moves entries out of sparse pages, beginning at `from`, at most `count_max` of them looked
    // at. Returns: where to go on; nullopt when the whole table was walked.
    std::optional<Bytes> move_entries(ByteView from, std::size_t count_max);
    Arena& arena() { return arena_; }

    // Lets go of one block of memory. Nothing but this and the destructor may follow.
    // Returns: whether there is more.
    bool dismantle_step() { return arena_.dismantle_step(); }

    [[nodiscard]] std::uint64_t key_count() const { return tree_.key_count(); }
    [[nodiscard]] std::uint64_t memory_bytes() const;
    [[nodiscard]] Access access() const {
        return hash_.has_value() ? Access::kHashedAndOrdered : Access::kOrdered;
    }

    // Looks at `count_max` entries from `from` on.
    // Returns: where to go on; nullopt at the end.
    // Errors:  kCorruption: entries out of order, or the hash does not lead to one of them.
    [[nodiscard]] Result<std::optional<Bytes>> verify_some(ByteView from,
                                                           std::size_t count_max) const;
    // Aborts where tree, hash and arena disagree.
    void check() const;

private:
    struct Retired {
        std::uint64_t epoch;
        Ref ref;
        std::uint32_t bytes;
    };

    struct Appended {
        std::uint64_t hash;
        Ref ref;
    };

    bool put_hashed(ByteView key, ByteView head, ByteView tail);
    Arena::Blob new_entry(ByteView key, ByteView head, ByteView tail);
    void retire(Ref ref);

    EpochDomain* epochs_;
    Arena arena_;
    OrderedIndex tree_;
    std::optional<HashIndex> hash_;
    // In the order of their epochs.
    std::deque<Retired> retired_;
    std::size_t retired_bytes_ = 0;
    // In tree and arena, not yet in the hash.
    std::deque<Appended> appended_;
    HintRing hinted_;
};

}  // namespace kvstore::storage::memory
