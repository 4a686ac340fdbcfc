// Memory in which one record gathers: aligned for direct I/O, reused from record to record.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "env/disk.h"
#include "storage/wal/record.h"

namespace kvstore::storage {

// The room of a record's header, then its payload as it grows.
//
// Invariants  data() is aligned to env::kSectorSize; capacity() is a multiple of it.
class RecordBuffer {
public:
    RecordBuffer() = default;
    RecordBuffer(RecordBuffer&& other) noexcept
        : memory_(std::move(other.memory_)),
          capacity_(std::exchange(other.capacity_, 0)),
          size_(std::exchange(other.size_, kRecordHeaderSize)) {}
    RecordBuffer& operator=(RecordBuffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        capacity_ = std::exchange(other.capacity_, 0);
        size_ = std::exchange(other.size_, kRecordHeaderSize);
        return *this;
    }
    RecordBuffer(const RecordBuffer&) = delete;
    RecordBuffer& operator=(const RecordBuffer&) = delete;
    ~RecordBuffer() = default;

    [[nodiscard]] char* data() { return memory_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t payload_size() const { return size_ - kRecordHeaderSize; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }

    // A place for `bytes_max` more bytes of payload; grown() says how many were used.
    [[nodiscard]] char* room(std::size_t bytes_max) {
        if (size_ + bytes_max > capacity_) {
            grow(size_ + bytes_max);
        }
        return memory_.get() + size_;
    }
    void grown(const char* end) {
        const auto size = static_cast<std::size_t>(end - memory_.get());
        KVSTORE_ASSERT(size >= size_ && size <= capacity_);
        size_ = size;
    }

    // The record with zeros up to a multiple of `alignment`.
    [[nodiscard]] ByteView padded(std::size_t alignment) {
        const std::size_t whole = (size_ + alignment - 1) / alignment * alignment;
        static_cast<void>(room(whole - size_));
        std::memset(memory_.get() + size_, 0, whole - size_);
        return {memory_.get(), whole};
    }

    // Empties it. Memory that only a rare large record needed is given back.
    void clear() {
        size_ = kRecordHeaderSize;
        if (capacity_ > kKeptCapacityMax) {
            memory_.reset();
            capacity_ = 0;
        }
    }

private:
    static constexpr std::size_t kFirstCapacity = 64U << 10U;
    static constexpr std::size_t kKeptCapacityMax = 4U << 20U;

    struct FreeAligned {
        void operator()(char* memory) const {
            ::operator delete[](memory, std::align_val_t{env::kSectorSize});
        }
    };

    void grow(std::size_t needed) {
        std::size_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
        if (capacity < needed) {
            capacity = (needed + env::kSectorSize - 1) / env::kSectorSize * env::kSectorSize;
        }
        std::unique_ptr<char[], FreeAligned> memory(
            static_cast<char*>(::operator new[](capacity, std::align_val_t{env::kSectorSize})));
        if (memory_ != nullptr) {
            std::memcpy(memory.get(), memory_.get(), size_);
        }
        memory_ = std::move(memory);
        capacity_ = capacity;
    }

    std::unique_ptr<char[], FreeAligned> memory_;
    std::size_t capacity_ = 0;
    std::size_t size_ = kRecordHeaderSize;
};

}  // namespace kvstore::storage
