#include "posix/internal/posix_entropy.h"

#include <cerrno>
#include <utility>

#include <sys/random.h>

#include "base/assert.h"

namespace kvstore::posix {

std::uint64_t PosixEntropy::next() {
    if (left_ == 0) {
        ssize_t size = 0;
        do {
            size = ::getrandom(buffer_.data(), sizeof(buffer_), 0);
        } while (size < 0 && errno == EINTR);
        // Up to 256 bytes come whole or not at all.
        KVSTORE_ASSERT(size == static_cast<ssize_t>(sizeof(buffer_)));
        left_ = buffer_.size();
    }
    return std::exchange(buffer_[--left_], 0);
}

}  // namespace kvstore::posix
