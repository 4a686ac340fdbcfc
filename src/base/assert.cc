#include "base/assert.h"

#include <atomic>
#include <cstdlib>

#include "base/log.h"

namespace kvstore {
namespace {

std::atomic<std::uint64_t>& soft_count() noexcept {
    static std::atomic<std::uint64_t> count{0};
    return count;
}

}  // namespace

void assertion_failed(const char* condition, const char* file, int line) noexcept {
    log_error("assertion failed", {{"condition", condition}, {"file", file}, {"line", line}});
    flush_log();
    std::abort();
}

void soft_assertion_failed(const char* condition, const char* file, int line) noexcept {
    soft_count().fetch_add(1, std::memory_order_relaxed);
    log_error("soft assertion failed", {{"condition", condition}, {"file", file}, {"line", line}});
#ifdef KVSTORE_DEBUG_ASSERTS
    flush_log();
    std::abort();
#endif
}

std::uint64_t soft_assertion_count() noexcept {
    return soft_count().load(std::memory_order_relaxed);
}

}  // namespace kvstore
