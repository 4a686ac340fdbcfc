// The five tables of a shard in memory, and what has to be told about writes to them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "storage/engine.h"
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

// Lifetime    Owned by its engine. Observers take themselves off before it ends.
// Runs on     One core.
// Invariants  generation() rises with each write
//             a batch is open from the first write after commit() until the next commit()
class TableSet {
public:
    TableSet();
    TableSet(const TableSet&) = delete;
    TableSet& operator=(const TableSet&) = delete;
    ~TableSet();

    bool find(Table table, ByteView key, ByteView* value) const {
        return rows(table).find(key, value);
    }

    void put(Table table, ByteView key, ByteView head, ByteView tail);
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

    void add_observer(WriteObserver* observer) { observers_.push_back(observer); }
    void remove_observer(WriteObserver* observer);

private:
    [[nodiscard]] const std::shared_ptr<MemoryTable>& slot(Table table) const {
        return tables_[static_cast<std::size_t>(table)];
    }
    void begin_write(Table table, ByteView key);
    void clear(Table table);

    std::array<std::shared_ptr<MemoryTable>, kTableCount> tables_;
    std::vector<WriteObserver*> observers_;
    Index applied_;
    std::uint64_t generation_ = 0;
    bool batch_is_open_ = false;
};

}  // namespace kvstore::storage::memory
