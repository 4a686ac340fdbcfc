// Whatever comes in: the parser gives the same requests whole and in pieces, within the input.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "frontend/resp/request_parser.h"

namespace {

using kvstore::ByteView;
using kvstore::resp::RequestParser;

constexpr RequestParser::Limits kLimits = {
    .inline_bytes_max = 256,
    .argument_bytes_max = 1024,
    .arguments_max = 64,
};

struct Seen {
    std::vector<std::string> words;
    std::string error;
    std::size_t taken = 0;
};

// Shows the parser `step` bytes more each time.
Seen parse_all(ByteView input, std::size_t step) {
    Seen seen;
    RequestParser parser(kLimits);
    std::size_t shown = step;
    while (true) {
        const std::string copy(input.substr(seen.taken, shown - seen.taken));
        switch (parser.parse(copy)) {
            case RequestParser::Outcome::kError: seen.error = parser.error(); return seen;
            case RequestParser::Outcome::kRequest:
                for (const ByteView argument : parser.arguments()) {
                    seen.words.emplace_back(argument);
                }
                seen.words.emplace_back("|");
                seen.taken += parser.advance();
                KVSTORE_ASSERT(seen.taken <= shown);
                break;
            case RequestParser::Outcome::kIncomplete:
                if (shown >= input.size()) {
                    return seen;
                }
                shown = std::min(shown + step, input.size());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const ByteView input(reinterpret_cast<const char*>(data), size);
    const Seen whole = parse_all(input, size);
    const Seen pieces = parse_all(input, 1 + (data[0] % 7U));
    // A line that is too long is refused where it is seen before its end, so only in pieces.
    if (whole.error.starts_with("too big") || pieces.error.starts_with("too big")) {
        return 0;
    }
    KVSTORE_ASSERT(whole.error == pieces.error);
    KVSTORE_ASSERT(whole.words == pieces.words);
    KVSTORE_ASSERT(whole.taken == pieces.taken);
    return 0;
}
