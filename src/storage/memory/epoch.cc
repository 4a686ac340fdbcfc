#include "storage/memory/epoch.h"

#include <algorithm>

#include "base/assert.h"

namespace kvstore::storage::memory {

EpochDomain::~EpochDomain() {
    KVSTORE_ASSERT(reader_count() == 0);
}

EpochDomain::Reader* EpochDomain::add_reader() {
    for (const auto& reader : readers_) {
        if (reader->is_free_.load(std::memory_order_acquire)) {
            reader->is_free_.store(false, std::memory_order_relaxed);
            return reader.get();
        }
    }
    readers_.push_back(std::make_unique<Reader>(&current_));
    return readers_.back().get();
}

std::size_t EpochDomain::reader_count() const {
    return static_cast<std::size_t>(
        std::count_if(readers_.begin(), readers_.end(), [](const std::unique_ptr<Reader>& reader) {
            return !reader->is_free_.load(std::memory_order_acquire);
        }));
}

std::uint64_t EpochDomain::advance() {
    std::uint64_t safe = current_.load(std::memory_order_relaxed) + 1;
    current_.store(safe, std::memory_order_seq_cst);
    for (const auto& reader : readers_) {
        safe = std::min(safe, reader->announced_.load(std::memory_order_seq_cst));
    }
    return safe;
}

}  // namespace kvstore::storage::memory
