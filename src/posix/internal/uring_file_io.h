// File operations through io_uring: no thread is woken on the way, and the kernel tells the core's
// own epoll when one is done.
#pragma once

#include <cstddef>
#include <memory>

#include "async/scheduler.h"
#include "posix/internal/file_io.h"
#include "posix/internal/reactor.h"

namespace kvstore::posix {

// Lifetime  Owned by the core. Destroying it waits for what is under way.
// Runs on   One core.
class UringFileIo final : public FileIo, public Watcher {
public:
    // Null where the kernel has no io_uring, or forbids it (containers often do).
    static std::unique_ptr<UringFileIo> try_open(async::Scheduler& scheduler, Reactor& reactor);

    struct Ring;
    UringFileIo(async::Scheduler& scheduler, Reactor& reactor, std::unique_ptr<Ring> ring);
    UringFileIo(const UringFileIo&) = delete;
    UringFileIo& operator=(const UringFileIo&) = delete;
    ~UringFileIo() override;

    async::Task<std::int64_t> run(FileRequest request) override;

    // Whether take_completions() has something to take. Costs two loads.
    [[nodiscard]] bool has_completions() const;
    void take_completions();

    void on_ready(std::uint32_t /*events*/) override { take_completions(); }

private:
    // Returns: how many entries the kernel took, or the negative errno.
    int submit();

    async::Scheduler& scheduler_;
    Reactor& reactor_;
    std::unique_ptr<Ring> ring_;
    std::size_t under_way_ = 0;
};

}  // namespace kvstore::posix
