#include "posix/machine.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <optional>
#include <string_view>

#include <unistd.h>

#include "base/parse.h"

namespace kvstore::posix {
namespace {

// Of the first and the second version of control groups. A group without a limit says "max", or a
// number beyond all memory.
constexpr std::array kLimitFiles{"/sys/fs/cgroup/memory.max",
                                 "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

std::optional<std::uint64_t> read_number(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) {
        return std::nullopt;
    }
    std::array<char, 32> text;
    const std::size_t size = std::fread(text.data(), 1, text.size(), file);
    (void)std::fclose(file);
    std::string_view number(text.data(), size);
    number = number.substr(0, number.find('\n'));
    return parse_uint64(number);
}

}  // namespace

std::uint64_t usable_memory_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_size = ::sysconf(_SC_PAGESIZE);
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
    if (pages > 0 && page_size > 0) {
        bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size);
    }
    for (const char* path : kLimitFiles) {
        bytes = std::min(bytes, read_number(path).value_or(bytes));
    }
    return bytes == std::numeric_limits<std::uint64_t>::max() ? 0 : bytes;
}

}  // namespace kvstore::posix
