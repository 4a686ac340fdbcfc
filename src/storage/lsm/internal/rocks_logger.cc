#include "storage/lsm/internal/rocks_logger.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "base/log.h"

namespace kvstore::storage::lsm {
namespace {

constexpr std::size_t kLineMax = 1024;

}  // namespace

void RocksLogger::Logv(const char* format, std::va_list arguments) {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
}

void RocksLogger::Logv(rocksdb::InfoLogLevel level, const char* format, std::va_list arguments) {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level >= rocksdb::InfoLogLevel::HEADER_LEVEL) {
        return;
    }
    std::array<char, kLineMax> line{};
    const int written = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (written < 0) {
        return;
    }
    const std::size_t size = std::min(static_cast<std::size_t>(written), line.size() - 1);
    std::string_view text(line.data(), size);
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    const LogLevel ours =
        level == rocksdb::InfoLogLevel::WARN_LEVEL ? LogLevel::kWarning : LogLevel::kError;
    log(ours, "rocksdb", {{"directory", directory_}, {"text", text}});
}

}  // namespace kvstore::storage::lsm
