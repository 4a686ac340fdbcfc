// How long one durable write of a pre-written 4-KiB block takes: through io_uring, through the
// threads, and in the calling thread, which is the limit (and blocks). Usage: bench [folder
// [count]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "env/disk.h"
#include "posix/runtime.h"

namespace kvstore::posix {
namespace {

constexpr std::size_t kSector = env::kSectorSize;
constexpr std::size_t kFileSize = 16U << 20U;

using Microseconds = std::vector<double>;

double micros_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
        .count();
}

void print(const char* what, std::size_t size, Microseconds samples) {
    std::ranges::sort(samples);
    const auto at = [&](double part) {
        return samples[static_cast<std::size_t>(part * static_cast<double>(samples.size() - 1))];
    };
    log_info("durable write",
             {{"bytes", size},
              {"through", what},
              {"p50_us", at(0.5)},
              {"p90_us", at(0.9)},
              {"p99_us", at(0.99)}});
}

void expect_ok(const Status& status) {
    if (!status.ok()) {
        log_error("failed", {{"reason", status.to_string()}});
        std::exit(1);
    }
}

async::Task<void> measure(env::Disk* disk, ByteView block, std::size_t count, Microseconds* out) {
    const env::OpenOptions options{.create = true, .direct = true};
    auto opened = co_await disk->open("bench.wal", options);
    const std::unique_ptr<env::File> file = *std::move(opened);
    for (std::uint64_t at = 0; at < kFileSize; at += block.size()) {
        expect_ok(co_await file->write(at, block));
    }
    expect_ok(co_await file->sync());
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        const Status written = co_await file->write_durable(i * block.size() % kFileSize, block);
        out->push_back(micros_since(begin));
        expect_ok(written);
    }
    expect_ok(co_await disk->remove("bench.wal"));
}

void bench_runtime(const char* what, RuntimeOptions options, ByteView block, std::size_t count) {
    Microseconds samples;
    Runtime runtime(std::move(options));
    runtime.block_on(measure(&runtime.env().disk, block, count, &samples));
    print(what, block.size(), std::move(samples));
}

void bench_inline(const std::string& folder, ByteView block, std::size_t count) {
    const std::string path = folder + "/bench.inline";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600);
    const iovec part{.iov_base = const_cast<char*>(block.data()), .iov_len = block.size()};
    for (std::size_t at = 0; at < kFileSize; at += block.size()) {
        (void)::pwritev2(descriptor, &part, 1, static_cast<off_t>(at), 0);
    }
    ::fsync(descriptor);
    Microseconds samples;
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        (void)::pwritev2(
            descriptor, &part, 1, static_cast<off_t>(i * block.size() % kFileSize), RWF_DSYNC);
        samples.push_back(micros_since(begin));
    }
    ::close(descriptor);
    ::unlink(path.c_str());
    print("the caller", block.size(), std::move(samples));
}

}  // namespace
}  // namespace kvstore::posix

int main(int argc, char** argv) {
    namespace posix = kvstore::posix;
    const std::string folder = argc > 1 ? argv[1] : "/var/tmp";
    const std::size_t count = argc > 2 ? kvstore::parse_uint64(argv[2]).value_or(2000) : 2000;
    for (const std::size_t size : {posix::kSector, std::size_t{64} << 10U}) {
        const std::unique_ptr<char, void (*)(void*)> memory(
            static_cast<char*>(std::aligned_alloc(posix::kSector, size)), std::free);
        std::memset(memory.get(), 'x', size);
        const kvstore::ByteView block(memory.get(), size);
        for (int round = 0; round < 3; ++round) {
            posix::bench_inline(folder, block, count);
            posix::bench_runtime(
                "io_uring", {.root_directory = folder, .use_io_uring = true}, block, count);
            posix::bench_runtime(
                "threads", {.root_directory = folder, .use_io_uring = false}, block, count);
        }
    }
    return 0;
}
