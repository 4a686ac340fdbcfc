#include "posix/internal/uring_file_io.h"

#include <cerrno>
#include <utility>

#include <liburing.h>
#include <sys/uio.h>

#include "async/sync.h"
#include "base/assert.h"

namespace kvstore::posix {
namespace {

constexpr unsigned kEntries = 256;
constexpr int kSubmitAttemptsMax = 1000;

using Completion = async::OneShot<std::int64_t>;

void prepare(io_uring_sqe* entry, const FileRequest& request) {
    const auto size = static_cast<unsigned>(request.size);
    switch (request.operation) {
        case FileOperation::kRead:
            io_uring_prep_read(entry, request.descriptor, request.data, size, request.offset);
            break;
        case FileOperation::kWrite:
            io_uring_prep_write(entry, request.descriptor, request.data, size, request.offset);
            break;
        case FileOperation::kWriteDurable:
            io_uring_prep_write(entry, request.descriptor, request.data, size, request.offset);
            entry->rw_flags = RWF_DSYNC;
            break;
        case FileOperation::kSyncData:
            io_uring_prep_fsync(entry, request.descriptor, IORING_FSYNC_DATASYNC);
            break;
    }
}

}  // namespace

struct UringFileIo::Ring {
    io_uring ring = {};
};

std::unique_ptr<UringFileIo> UringFileIo::try_open(async::Scheduler& scheduler, Reactor& reactor) {
    auto ring = std::make_unique<Ring>();
    if (io_uring_queue_init(kEntries, &ring->ring, 0) != 0) {
        return nullptr;
    }
    // Without it completions could be dropped when many come at once (Linux before 5.5).
    if ((ring->ring.features & IORING_FEAT_NODROP) == 0) {
        io_uring_queue_exit(&ring->ring);
        return nullptr;
    }
    return std::make_unique<UringFileIo>(scheduler, reactor, std::move(ring));
}

UringFileIo::UringFileIo(async::Scheduler& scheduler, Reactor& reactor, std::unique_ptr<Ring> ring)
    : scheduler_(scheduler), reactor_(reactor), ring_(std::move(ring)) {
    const Status watched = reactor_.add(ring_->ring.ring_fd, EPOLLIN | EPOLLET, *this);
    KVSTORE_ASSERT(watched.ok());
}

UringFileIo::~UringFileIo() {
    while (under_way_ > 0) {
        io_uring_cqe* entry = nullptr;
        io_uring_wait_cqe(&ring_->ring, &entry);
        take_completions();
    }
    reactor_.remove(ring_->ring.ring_fd, *this);
    io_uring_queue_exit(&ring_->ring);
}

async::Task<std::int64_t> UringFileIo::run(FileRequest request) {
    Completion completion(scheduler_);
    io_uring_sqe* entry = io_uring_get_sqe(&ring_->ring);
    if (entry == nullptr) {
        // Each entry is submitted at once, so the queue is full only of those that were refused.
        co_return -ENOMEM;
    }
    prepare(entry, request);
    io_uring_sqe_set_data(entry, &completion);
    const int submitted = submit();
    if (submitted < 0) {
        // It still stands in the queue and goes with the next one, when nobody waits for it.
        io_uring_prep_nop(entry);
        io_uring_sqe_set_data(entry, nullptr);
        co_return submitted;
    }
    ++under_way_;
    co_return co_await completion;
}

int UringFileIo::submit() {
    for (int i = 0; i < kSubmitAttemptsMax; ++i) {
        const int result = io_uring_submit(&ring_->ring);
        if (result != -EINTR && result != -EBUSY && result != -EAGAIN) {
            return result;
        }
        // The kernel is short of memory, or of room for completions: those come first.
        take_completions();
    }
    return -ENOMEM;
}

bool UringFileIo::has_completions() const {
    return io_uring_cq_ready(&ring_->ring) > 0;
}

void UringFileIo::take_completions() {
    io_uring_cqe* entry = nullptr;
    while (io_uring_peek_cqe(&ring_->ring, &entry) == 0) {
        auto* completion = static_cast<Completion*>(io_uring_cqe_get_data(entry));
        const std::int64_t result = entry->res;
        io_uring_cqe_seen(&ring_->ring, entry);
        if (completion != nullptr) {
            --under_way_;
            completion->set(result);
        }
    }
}

}  // namespace kvstore::posix
