#include "frontend/resp/internal/arguments.h"

namespace kvstore::resp {
namespace {

constexpr std::int64_t kMillisecondsPerSecond = 1000;

}  // namespace

std::optional<std::int64_t> expiry_of(std::int64_t time, TimeForm form, std::uint64_t now_ms) {
    const bool is_seconds = form == TimeForm::kSeconds || form == TimeForm::kAtSeconds;
    const bool is_relative = form == TimeForm::kSeconds || form == TimeForm::kMilliseconds;
    if (is_seconds && __builtin_mul_overflow(time, kMillisecondsPerSecond, &time)) {
        return std::nullopt;
    }
    if (is_relative && __builtin_add_overflow(time, static_cast<std::int64_t>(now_ms), &time)) {
        return std::nullopt;
    }
    return time;
}

std::string invalid_expiry_text(const Call& call) {
    return "ERR invalid expire time in '" + std::string(call.name()) + "' command";
}

}  // namespace kvstore::resp
