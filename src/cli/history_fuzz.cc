// Whatever stands in a line of a history: an operation that the checkers take, or a complaint. An
// operation is the same when it is written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/assert.h"
#include "cli/history_file.h"
#include "history/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    kvstore::history::History history;
    for (std::size_t at = 0; at < input.size();) {
        const std::size_t end = std::min(input.find('\n', at), input.size());
        auto operation = kvstore::cli::parse_history_line(input.substr(at, end - at));
        at = end + 1;
        if (!operation.ok()) {
            continue;
        }
        const std::string line = kvstore::cli::format_history_line(*operation);
        const auto again = kvstore::cli::parse_history_line(line);
        KVSTORE_ASSERT(again.ok() && kvstore::cli::format_history_line(*again) == line);
        history.push_back(*std::move(operation));
    }
    (void)kvstore::history::verify(history,
                                   {.budget = 1000, .staleness_max = kvstore::Duration(1)});
    return 0;
}
