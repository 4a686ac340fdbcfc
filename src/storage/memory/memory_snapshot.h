// A consistent snapshot of the memory engine's tables, read piece by piece while writes go on: no
// fork, no copy.
//
// The source walks the tables in order. Whoever is about to write a key that the walk has not
// reached first saves what was there, once a key, in a side map; the walk merges the live rows with
// the side map, which wins. A table that is cleared as a whole is handed over and read as it was.
//
// The side map holds at most what was overwritten between the snapshot's start and the walk's
// passing by, and each entry is let go when the walk passes it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "storage/engine.h"
#include "storage/memory/table_set.h"

namespace kvstore::storage::memory {

// Lifetime    Ends before the TableSet. Several may be open at a time.
// Runs on     The engine's core.
// Invariants  no key at or before the walk's place is in the side map
class MemorySnapshotSource final : public SnapshotSource, private WriteObserver {
public:
    // Requires: no batch is open; `side_bytes` counts the side maps of the engine.
    MemorySnapshotSource(TableSet* tables, std::uint64_t* side_bytes);
    MemorySnapshotSource(const MemorySnapshotSource&) = delete;
    MemorySnapshotSource& operator=(const MemorySnapshotSource&) = delete;
    ~MemorySnapshotSource() override;

    [[nodiscard]] Index applied_index() const override { return applied_; }
    async::Task<Result<std::vector<Row>>> next(std::size_t bytes_max) override;

    // Makes every later next() fail with kUnavailable: the engine is closing.
    void cancel() { is_cancelled_ = true; }

private:
    // What a key held when the snapshot began; nullopt: it was not there.
    using SideMap = std::map<Bytes, std::optional<Bytes>, std::less<>>;

    void before_write(Table table, ByteView key, const MemoryTable& rows) override;
    void before_clear(Table table, std::shared_ptr<const MemoryTable> rows) override;

    [[nodiscard]] bool has_passed(Table table, ByteView key) const;
    void walk_table(std::size_t bytes_max, std::vector<Row>& rows, std::size_t& bytes);
    bool emit(ByteView key, ByteView value, std::vector<Row>& rows, std::size_t& bytes);
    void pass(ByteView key);
    void drop_side_entry(SideMap& side, SideMap::iterator entry);
    void end_table();

    TableSet* tables_;
    std::uint64_t* side_bytes_;
    Index applied_;
    std::size_t at_table_ = 0;
    // The last key that the walk has passed in the current table; nullopt before the first.
    std::optional<Bytes> passed_;
    std::array<SideMap, kTableCount> side_;
    // A table that was cleared since; read instead of the live one.
    std::array<std::shared_ptr<const MemoryTable>, kTableCount> handed_over_;
    bool is_cancelled_ = false;
};

}  // namespace kvstore::storage::memory
