// Bytes on their way from a socket to a parser: read in behind, consumed in front, always in one
// piece.
#pragma once

#include <cstddef>
#include <memory>

#include "base/assert.h"
#include "base/bytes.h"

namespace kvstore::posix {

// Invariants
//   begin_ <= end_ <= capacity_; both are 0 when nothing is unread
class InputBuffer {
public:
    static constexpr std::size_t kSmall = 4096;
    // An empty buffer above this size is given back rather than kept for the next read.
    static constexpr std::size_t kKeepMax = 64U << 10U;

    [[nodiscard]] ByteView view() const { return {data_.get() + begin_, end_ - begin_}; }
    [[nodiscard]] std::size_t size() const { return end_ - begin_; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] bool empty() const { return begin_ == end_; }

    void consume(std::size_t size) {
        KVSTORE_ASSERT(size <= end_ - begin_);
        begin_ += size;
        if (begin_ == end_) {
            begin_ = 0;
            end_ = 0;
        }
    }

    // Makes room to read more. The buffer doubles when the last read had filled it, and takes an
    // expected size at once.
    void make_room();
    [[nodiscard]] char* room() { return data_.get() + end_; }
    [[nodiscard]] std::size_t room_size() const { return capacity_ - end_; }
    void added(std::size_t size) {
        KVSTORE_ASSERT(size <= room_size());
        was_filled_ = size == room_size();
        end_ += size;
    }

    // The next `size` unread bytes are wanted in one piece.
    void expect(std::size_t size) { expected_ = size; }

    // Gives memory back where nothing is unread.
    void shrink(std::size_t capacity_kept);

private:
    void move_to(std::size_t capacity);

    std::unique_ptr<char[]> data_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t expected_ = 0;
    bool was_filled_ = false;
};

}  // namespace kvstore::posix
