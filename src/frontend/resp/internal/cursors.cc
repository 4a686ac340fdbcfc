#include "frontend/resp/internal/cursors.h"

#include <utility>

namespace kvstore::resp {

std::uint64_t Cursors::add(Bytes key) {
    byte_count_ += key.size();
    places_.push_back(std::move(key));
    while (places_.size() > kCountMax || byte_count_ > kBytesMax) {
        byte_count_ -= places_.front().size();
        places_.pop_front();
        ++first_;
    }
    return first_ + places_.size() - 1;
}

std::optional<Bytes> Cursors::find(std::uint64_t cursor) const {
    if (cursor < first_ || cursor - first_ >= places_.size()) {
        return std::nullopt;
    }
    return places_[cursor - first_];
}

}  // namespace kvstore::resp
