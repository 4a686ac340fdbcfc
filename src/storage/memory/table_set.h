// The five tables of a shard in memory, and what has to be told about writes to them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "storage/engine.h"
#include "storage/memory/epoch.h"
#include "storage/memory/table.h"

namespace kvstore::storage::memory {

// Learns of each write before it happens, while the old state can still be read.
class WriteObserver {
public:
    virtual ~WriteObserver() = default;

    virtual void before_write(Table table, ByteView key, const MemoryTable& rows) = 0;
    // The table becomes empty, and `rows` will never be written again.
    virtual void before_clear(Table table, std::shared_ptr<const MemoryTable> rows) = 0;
};

// Reads point rows of kCurrent on one core that is not the writer's, without a lock. It sees what
// was put, committed or not, one key at a time.
//
// Lifetime  Made by add_reader() on the writer's core; ends before the TableSet.
// Runs on   One core at a time, any.
class RowReader {
public:
    RowReader(const std::atomic<const MemoryTable*>* current, EpochDomain::Reader* reader)
        : current_(current), reader_(reader) {}
    RowReader(const RowReader&) = delete;
    RowReader& operator=(const RowReader&) = delete;
    ~RowReader() { reader_->retire(); }

    // Returns: whether `key` exists; `*value` is a copy of its value then.
    bool find(ByteView key, Bytes* value);

private:
    const std::atomic<const MemoryTable*>* current_;
    EpochDomain::Reader* reader_;
};

// Lifetime    Owned by its engine. Observers and readers end before it does.
// Runs on     One core.
// Invariants  generation() rises with each write
//             a batch is open from the first write after commit() until the next commit()
class TableSet {
public:
    explicit TableSet(std::uint64_t hash_seed = 0);
    TableSet(const TableSet&) = delete;
    TableSet& operator=(const TableSet&) = delete;
    ~TableSet();

    bool find(Table table, ByteView key, ByteView* value) const {
        return rows(table).find(key, value);
    }
    // The same, and goes on with hints.
    bool find(Table table, ByteView key, ByteView* value) { return slot(table)->find(key, value); }
    void hint(Table table, ByteView key) { slot(table)->hint(key); }

    void put(Table table, ByteView key, ByteView head, ByteView tail);
    // As put(), faster, for keys in rising order into a table that has none after them;
    // end_append() before anything else. Requires: no observer.
    void append(Table table, ByteView key, ByteView value);
    void end_append();
    void erase(Table table, ByteView key);
    void erase_range(Table table, ByteView from, ByteView to);
    void commit(Index applied);

    [[nodiscard]] const MemoryTable& rows(Table table) const { return *slot(table); }
    [[nodiscard]] std::shared_ptr<const MemoryTable> share(Table table) const {
        return slot(table);
    }

    [[nodiscard]] Index applied() const { return applied_; }
    [[nodiscard]] bool batch_is_open() const { return batch_is_open_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] std::uint64_t memory_bytes() const;

    [[nodiscard]] std::unique_ptr<RowReader> add_reader();

    // Frees what is no longer in use, in a bounded step.
    // Returns: whether there is more that can be freed at once.
    bool collect();
    // Moves entries together, a bounded step at a time. Returns: whether there is more to do.
    bool compact_step();
    // Whether a cleared table still has to be taken apart.
    [[nodiscard]] bool has_dying() const { return !dying_.empty(); }
    void check() const;

    void add_observer(WriteObserver* observer) { observers_.push_back(observer); }
    void remove_observer(WriteObserver* observer);

private:
    [[nodiscard]] const std::shared_ptr<MemoryTable>& slot(Table table) const {
        return tables_[static_cast<std::size_t>(table)];
    }
    void begin_write(Table table, ByteView key);
    void clear(Table table);

    // A table that was cleared. Taken apart once no snapshot and no reader is in it.
    struct Dying {
        std::uint64_t epoch;
        std::shared_ptr<MemoryTable> table;
    };
    [[nodiscard]] bool should_collect(std::size_t writes_max, std::size_t bytes_max) const;
    bool dismantle(std::uint64_t safe_epoch);

    std::uint64_t hash_seed_;
    EpochDomain epochs_;
    std::array<std::shared_ptr<MemoryTable>, kTableCount> tables_;
    std::vector<WriteObserver*> observers_;
    // Of kCurrent, for readers.
    std::atomic<const MemoryTable*> current_{nullptr};
    std::deque<Dying> dying_;
    // Where compaction is; nullopt: it is not under way.
    std::optional<Bytes> compact_from_;
    std::size_t compact_table_ = 0;
    Index applied_;
    std::uint64_t generation_ = 0;
    std::size_t writes_since_collect_ = 0;
    bool batch_is_open_ = false;
};

}  // namespace kvstore::storage::memory
