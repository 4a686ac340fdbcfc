// One table of the memory engine: a set of keys with their values, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/bytes.h"

namespace kvstore::storage::memory {

// Lifetime  Shared by the engine and by snapshots that still read it.
// Runs on   One core.
class MemoryTable {
public:
    // A place in the table. Any write to the table ends it.
    class Cursor {
    public:
        explicit Cursor(const MemoryTable* table);

        // To the first entry at or after `key`.
        void seek(ByteView key);
        // To the last entry before `key`.
        void seek_before(ByteView key);
        void seek_to_last();

        // Requires: valid().
        void next();
        void previous();

        [[nodiscard]] bool valid() const;
        [[nodiscard]] ByteView key() const;
        [[nodiscard]] ByteView value() const;

    private:
        using Rows = std::map<Bytes, Bytes, std::less<>>;
        const Rows* rows_;
        Rows::const_iterator at_;
    };

    enum class Access : std::uint8_t { kOrdered, kHashedAndOrdered };

    explicit MemoryTable(Access access);

    bool find(ByteView key, ByteView* value) const;

    // Returns: whether the key is new.
    bool put(ByteView key, ByteView head, ByteView tail);
    // Returns: whether the key was there.
    bool erase(ByteView key);

    [[nodiscard]] std::uint64_t key_count() const { return rows_.size(); }
    [[nodiscard]] std::uint64_t memory_bytes() const;
    [[nodiscard]] Access access() const { return access_; }

private:
    Access access_;
    std::map<Bytes, Bytes, std::less<>> rows_;
};

}  // namespace kvstore::storage::memory
