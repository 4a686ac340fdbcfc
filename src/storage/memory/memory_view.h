// The live state of the memory engine as a View. It costs nothing to make and holds nothing; any
// write ends it, which is asserted.
#pragma once

#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "storage/engine.h"
#include "storage/memory/table_set.h"

namespace kvstore::storage::memory {

// Asserts that the tables still stand as they did at its creation.
class Unwritten {
public:
    explicit Unwritten(const TableSet* tables)
        : tables_(tables), generation_(tables->generation()) {}

    const TableSet& tables() const {
        KVSTORE_ASSERT(tables_->generation() == generation_);
        return *tables_;
    }

private:
    const TableSet* tables_;
    std::uint64_t generation_;
};

class MemoryCursor final : public Cursor {
public:
    MemoryCursor(Unwritten state, Table table) : state_(state), at_(&state.tables().rows(table)) {}

    void seek(ByteView key) override { at().seek(key); }
    void seek_before(ByteView key) override { at().seek_before(key); }
    void seek_to_last() override { at().seek_to_last(); }
    void next() override { at().next(); }
    void previous() override { at().previous(); }
    [[nodiscard]] bool valid() const override { return at().valid(); }
    [[nodiscard]] ByteView key() const override { return at().key(); }
    [[nodiscard]] ByteView value() const override { return at().value(); }
    [[nodiscard]] Status status() const override { return {}; }

private:
    [[nodiscard]] MemoryTable::Cursor& at() {
        static_cast<void>(state_.tables());
        return at_;
    }
    [[nodiscard]] const MemoryTable::Cursor& at() const {
        static_cast<void>(state_.tables());
        return at_;
    }

    Unwritten state_;
    MemoryTable::Cursor at_;
};

class MemoryView final : public View {
public:
    explicit MemoryView(const TableSet* tables) : state_(tables) {}

    Result<bool> find(Table table, ByteView key, ByteView* value) override {
        return state_.tables().find(table, key, value);
    }
    [[nodiscard]] std::unique_ptr<Cursor> cursor(Table table) const override {
        return std::make_unique<MemoryCursor>(state_, table);
    }

private:
    Unwritten state_;
};

}  // namespace kvstore::storage::memory
