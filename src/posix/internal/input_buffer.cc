#include "posix/internal/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kvstore::posix {

void InputBuffer::move_to(std::size_t capacity) {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size() > 0) {
        std::memcpy(larger.get(), data_.get() + begin_, size());
    }
    data_ = std::move(larger);
    capacity_ = capacity;
    end_ -= begin_;
    begin_ = 0;
}

void InputBuffer::make_room() {
    const std::size_t expected = std::exchange(expected_, 0);
    std::size_t wanted = std::max(kSmall, capacity_);
    // Larger reads mean fewer of them, but an empty buffer that is not kept need not grow.
    if (was_filled_ && (!empty() || capacity_ < kKeepMax)) {
        wanted = std::max(wanted, 2 * capacity_);
    }
    was_filled_ = false;
    if (expected > wanted) {
        wanted = expected;
    }
    if (wanted > capacity_) {
        move_to(wanted);
        return;
    }
    // Moved to the front, a small remainder needs no larger buffer. At least a quarter of the
    // buffer is read between two such moves, so the work stays in proportion to what is read.
    if (begin_ > 0 && size() <= capacity_ / 2 && room_size() < capacity_ / 4) {
        std::memmove(data_.get(), data_.get() + begin_, size());
        end_ -= begin_;
        begin_ = 0;
    }
    if (room_size() == 0) {
        move_to(2 * capacity_);
    }
}

void InputBuffer::shrink(std::size_t capacity_kept) {
    if (empty() && capacity_ > capacity_kept) {
        data_.reset();
        capacity_ = 0;
        begin_ = 0;
        end_ = 0;
    }
}

}  // namespace kvstore::posix
