// Proposed commands that wait to become durable and be applied, first in first out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"

namespace kvstore::replication {

class Proposal;

// Bytes stand in chunks that never move, so a view into the queue lasts until its command is
// popped, also when commands are added while one is applied.
//
// Runs on   One core.
class CommandQueue {
public:
    struct Item {
        Index index;
        Proposal* proposal = nullptr;  // null: nobody waits
        ByteView command;
    };

    // Copies `command`.
    void push(Index index, Proposal* proposal, ByteView command);

    [[nodiscard]] bool empty() const { return items_.empty(); }
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    [[nodiscard]] const Item& front() const { return items_.front(); }
    [[nodiscard]] const Item& at(std::size_t position) const { return items_[position]; }
    void pop();

    // Of all commands in the queue.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    static constexpr std::size_t kChunkSize = 256U << 10U;

    struct Chunk {
        std::unique_ptr<char[]> data;  // NOLINT(modernize-avoid-c-arrays): uninitialised storage
        std::size_t capacity = 0;
        std::size_t used = 0;
        std::size_t live = 0;  // items in it that were not popped
    };

    char* allocate(std::size_t size);

    std::deque<Item> items_;
    std::deque<Chunk> chunks_;
    Chunk spare_;  // one emptied chunk of the usual size, to save allocations
    std::size_t bytes_ = 0;
};

}  // namespace kvstore::replication
