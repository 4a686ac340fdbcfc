// Memory as direct I/O wants it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "base/bytes.h"
#include "env/disk.h"

namespace kvstore::env {

// Memory for direct I/O: aligned to sectors, as is its size.
class AlignedBytes {
public:
    AlignedBytes(std::size_t size, char fill) : size_(size), bytes_(aligned(size)) {
        std::fill_n(bytes_.get(), size, fill);
    }
    [[nodiscard]] ByteView view() const { return {bytes_.get(), size_}; }

private:
    struct Free {
        void operator()(char* bytes) const {
            ::operator delete(bytes, std::align_val_t{kSectorSize});
        }
    };
    static std::unique_ptr<char, Free> aligned(std::size_t size) {
        void* raw = ::operator new(size, std::align_val_t{kSectorSize});
        return std::unique_ptr<char, Free>(static_cast<char*>(raw));
    }

    std::size_t size_;
    std::unique_ptr<char, Free> bytes_;
};

}  // namespace kvstore::env
