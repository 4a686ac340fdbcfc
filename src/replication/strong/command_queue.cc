#include "replication/strong/command_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace kvstore::replication {

char* CommandQueue::allocate(std::size_t size) {
    if (chunks_.empty() || chunks_.back().capacity - chunks_.back().used < size) {
        // The last chunk stays when it empties; pop() must not find it in front of a newer one.
        if (chunks_.size() == 1 && chunks_.front().live == 0) {
            spare_ = std::move(chunks_.front());
            chunks_.pop_front();
        }
        Chunk chunk = std::exchange(spare_, Chunk{});
        if (chunk.capacity < size) {
            chunk.capacity = std::max(size, kChunkSize);
            chunk.data = std::make_unique_for_overwrite<char[]>(
                chunk.capacity);  // NOLINT(modernize-avoid-c-arrays): as above
        }
        chunk.used = 0;
        chunk.live = 0;
        chunks_.push_back(std::move(chunk));
    }
    Chunk& chunk = chunks_.back();
    char* place = chunk.data.get() + chunk.used;
    chunk.used += size;
    ++chunk.live;
    return place;
}

void CommandQueue::push(Index index, Proposal* proposal, ByteView command) {
    char* place = allocate(command.size());
    std::memcpy(place, command.data(), command.size());
    items_.push_back({.index = index, .proposal = proposal, .command = {place, command.size()}});
    bytes_ += command.size();
}

void CommandQueue::pop() {
    KVSTORE_ASSERT(!items_.empty());
    bytes_ -= items_.front().command.size();
    items_.pop_front();
    Chunk& chunk = chunks_.front();
    KVSTORE_ASSERT(chunk.live > 0);
    if (--chunk.live > 0) {
        return;
    }
    if (chunks_.size() == 1) {
        chunk.used = 0;
        if (chunk.capacity > kChunkSize) {
            chunks_.pop_front();
        }
        return;
    }
    if (chunk.capacity == kChunkSize) {
        spare_ = std::move(chunk);
    }
    chunks_.pop_front();
}

}  // namespace kvstore::replication
